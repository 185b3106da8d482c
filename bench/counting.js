// Edge Credits, unchanged, with all that is counted which the platform would bill: every row that its storage reads and
// writes, by the runtime's own `rowsRead` and `rowsWritten`, which counts index entries too, and a row for each alarm set
// and key-value pair put; and every request to an account's object.

import worker, { Account as Counted } from './index.js'

const rows = { read: 0, written: 0 }
let requests = 0
let latest = null

/** A cursor has read all its rows only when the next statement begins. */
function settle() {
  rows.read += latest?.rowsRead ?? 0
  latest = null
}

function watch(storage) {
  replace(Object.getPrototypeOf(storage.sql), 'exec', (exec) => function (...args) {
    settle()
    latest = exec.apply(this, args)
    rows.written += latest.rowsWritten
    return latest
  })
  for (const name of ['put', 'setAlarm', 'delete', 'deleteAlarm']) {
    replace(Object.getPrototypeOf(storage), name, (method) => function (...args) {
      rows.written += name === 'put' && typeof args[0] === 'object' ? Object.keys(args[0]).length : 1
      return method.apply(this, args)
    })
  }
}

function replace(prototype, name, make) {
  const method = prototype[name]
  if (method?.isWatched) return
  prototype[name] = Object.assign(make(method), { isWatched: true })
}

// Its rows are not an account's.
export { Directory } from './index.js'

export class Account extends Counted {
  constructor(state, env) {
    watch(state.storage)
    super(state, env)
  }

  fetch(request) {
    requests++
    return super.fetch(request)
  }
}

export default {
  fetch(request, env, context) {
    const { pathname } = new URL(request.url)
    return pathname === '/counts' ? Response.json({ ...rows, requests }) : worker.fetch(request, env, context)
  },
}
