"""The page at `/`: one document per plan and scope, worked out here; drawn by the browser."""
