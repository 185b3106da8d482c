// Starting wasm, once for all estimators, on whatever gives its bytes or its module.

import * as glue from '../build/glue_bg.js'
import published from '../../catalog/published.json'
import { Estimator } from './estimator.js'

/** The function `createEstimator`, for a platform that gets wasm by `source`: bytes or a module, or a promise of them. */
export function estimators(source) {
  let started = null
  return async function createEstimator({ catalog = published } = {}) {
    // A failure to load is not for ever: the next caller tries again.
    started ??= start(source).catch((error) => {
      started = null
      throw error
    })
    return new Estimator(await started, catalog)
  }
}

async function start(source) {
  const made = await WebAssembly.instantiate(await source(), { './glue_bg.js': glue })
  const { exports } = made.instance ?? made
  glue.__wbg_set_wasm(exports)
  exports.__wbindgen_start?.()
  return { glue, memory: exports.memory }
}
