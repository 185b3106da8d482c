// The entry for Workers, which compile wasm only when they are deployed: there it is a module of its own.

import wasm from './edge_credits.wasm'
import { EdgeCreditsError } from './error.js'
import { estimators } from './load.js'

export { EdgeCreditsError }

export const createEstimator = /* @__PURE__ */ estimators(async () => wasm)
