// Edge Credits on a runtime that loses requests: the first ones in which calls go to an object together are never
// answered, as if the runtime had ended whoever sent them. Half of those have reached the object by then.

import worker, { Account, Directory } from './index.js'

const LOST = 4
let lost = 0

const never = () => new Promise(() => {})

function losing(object) {
  return {
    fetch(asked, init) {
      const isTogether = typeof asked === 'string' && asked.endsWith('/together')
      if (!isTogether || lost >= LOST) return object.fetch(asked, init)
      lost++
      return lost % 2 ? never() : object.fetch(asked, init).then(never)
    },
  }
}

export { Account, Directory }

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname === '/counts') return Response.json({ lost })
    const ACCOUNTS = { getByName: (name) => losing(env.ACCOUNTS.getByName(name)) }
    return worker.fetch(request, { ...env, ACCOUNTS }, context)
  },
}
