// What figures and labels mean, in plain words.

import * as format from "./format.js";

const TERMS = {
  hashing_revenue: "Hashing revenue",
  inference_revenue: "Inference revenue",
  reserved_revenue: "Reserved nodes",
  energy_cost: "Energy",
  tier_cost: "Energy tiers",
  block_cost: "Power blocks",
  resale_revenue: "Resold power",
  demand_charge: "Demand charge",
  coincident_peak: "System peaks, expected",
  carbon_cost: "Carbon",
  take_shortfall: "Minimum take missed",
  reserve_capacity: "Reserves, standing ready",
  reserve_energy: "Reserves, energy of calls",
  reserve_saved_energy: "Reserves, energy that calls save",
  reserve_lost_hash: "Reserves, hash lost in calls",
  reserve_starts: "Reserves, starts after calls",
  reserve_claw_back: "Reserves clawed back",
  asic_start_wear: "Miner start wear",
  forced_stop_wear: "Wear of forced stops",
  asic_end_value: "Miners running at the end",
  gpu_end_value: "GPU nodes running at the end",
  gpu_start_cost: "GPU start cost",
  unserved_penalty: "Unserved inference",
  late_penalty: "Late batch work",
  backlog_end_value: "Batch work waiting at the end",
  service_shortfall: "Service level missed",
  routing_cost: "Routing",
};

/** A money term's name; a term that is new here keeps its own. */
export const termName = (term) => TERMS[term] ?? plain(term);

const QUANTITIES = {
  hashprice: "Hashprice",
  difficulty: "Difficulty",
  energy_price: "Energy price",
  ambient: "Temperature",
  demand: "Inference demand",
  limit: "Limit of a site",
  feeder: "Limit of a feeder",
  site: "Whole site, on or off",
  outage: "Machines out of service",
  contract_price: "Price of a contract",
  work_price: "Price of inference",
  connection: "Grid connection",
};

/** A quantity that a what-if changes. */
export const quantityName = (quantity) => QUANTITIES[quantity] ?? plain(quantity);

const plain = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

export const BASIS = {
  optimised: { name: "Optimised", title: "Optimised plan" },
  last_good: {
    name: "Last good",
    title: "Last good plan, not a fresh one",
    words:
      "No fresh optimised plan is there. This is what remains of the last good one, checked against today's limits.",
  },
  rule: {
    name: "Rule",
    title: "Rule plan, not optimised",
    words:
      "Made in merit order by simple rules, without a solver. It is lawful and audited; what it leaves on the table is not known.",
  },
  safe: {
    name: "Safe",
    title: "Safe profile, not a plan for profit",
    words: "Sites run at the safe level of their profile until a plan can be made.",
  },
};

export const LABELS = {
  replayed: "prices, weather and demand of a recorded week, re-dated to today.",
  forecast: "prices, weather and demand as forecast.",
  "what-if": "some inputs were changed on purpose.",
};

/** Status of a proof in one sentence. */
export function verdict(proof) {
  if (proof.status === "none" || proof.gap_usd === null)
    return "No solver made this plan, so nothing is proven about how good it is.";
  const most = `At most ${format.usd(proof.gap_usd)} (${format.gapPercent(proof.gap_percent)}) below the best plan that can exist`;
  const asked = proof.asked_gap === null ? "" : format.gapPercent(proof.asked_gap * 100);
  if (proof.status === "optimal") return `${most}: proven, and within the ${asked || "gap"} asked for.`;
  return `${most}: proven. The search stopped before it reached the ${asked || "gap"} asked for.`;
}

export const STATUS = {
  optimal: "optimal within the gap asked for",
  feasible: "feasible, stopped at its time budget",
  none: "not solved",
};

/** A running optimisation in words. */
export function planning({ share, gap_percent }) {
  const sofar = gap_percent === null ? "" : `, so far proven within ${format.gapPercent(gap_percent)}`;
  return `A plan is being optimised: ${format.percent(share, 0)} of its time budget${sofar}.`;
}

/** What a job is doing, in one line. */
export function doing({ doing, round, sites_done, sites, objective_usd, bound_usd, gap_percent }) {
  const at = sites ? `, round ${round}, ${sites_done} of ${sites} sites` : "";
  const known = (name, usd) => (usd == null ? null : `${name} ${format.usd(usd)}`);
  const gap = gap_percent == null ? null : `gap ${format.gapPercent(gap_percent)}`;
  const figures = [known("best so far", objective_usd), known("bound", bound_usd), gap].filter(Boolean);
  return [`${doing ?? "searching"}${at}`, ...figures].join(" · ");
}

/** How certain a difference of two profits is, in one sentence. */
export function certainty({ profit_usd, plus_minus_usd, plus_minus_note }) {
  if (plus_minus_usd === null) return `How certain that is, is not known: ${plus_minus_note}.`;
  const sure = `Certain to ± ${format.usd(plus_minus_usd)}, the ${plus_minus_note}: each plan is proven to be within its gap of the best that can exist.`;
  const equal = Math.abs(profit_usd.difference) <= plus_minus_usd;
  return equal ? `${sure} The difference is no larger, so the two may as well be equal.` : sure;
}
