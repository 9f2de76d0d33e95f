"""A thin layer over Flask: one declaration per route, strict input, problems as documents, OpenAPI from the code."""
