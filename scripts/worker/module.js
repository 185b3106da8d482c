// The Rust module, started afresh after a panic. A panic in wasm leaves the module's memory in an unknown state, so the
// next call gets a new module, and every account object is rebuilt in it from its journal.

import * as rust from './index.js'

export const health = rust.__worker_init_state() // Shared with the `worker` crate, whose panic hook sets `criticalError`.

export function reviveAfterPanic() {
  if (!health.criticalError) return
  console.log('starting the Rust module afresh after a panic')
  rust.__wbg_reset_state()
  health.criticalError = false
  health.instanceId++
}

const underWay = new Set()
let lastPanic = null

/** What was under way in the module can no more come to an end there, so it is told at once. */
function noticePanic(error) {
  if (!(error instanceof WebAssembly.RuntimeError) || error === lastPanic) return
  lastPanic = error
  console.error('the Rust module trapped', error)
  health.criticalError = true
  for (const giveUp of underWay) giveUp(error)
}

/** What a call of the module comes to. Most come to their end at once, and nothing is promised. */
export function guarded(call) {
  reviveAfterPanic()
  try {
    const outcome = call()
    return outcome instanceof Promise ? outlived(outcome) : outcome
  } catch (error) {
    noticePanic(error)
    throw error
  }
}

async function outlived(outcome) {
  const { promise: panic, reject: giveUp } = Promise.withResolvers()
  underWay.add(giveUp)
  try {
    return await Promise.race([outcome, panic])
  } catch (error) {
    noticePanic(error)
    throw error
  } finally {
    underWay.delete(giveUp)
  }
}

addEventListener('error', (event) => noticePanic(event.error))
