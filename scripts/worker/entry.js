// The Worker's entry point: hands what arrives to the Rust module, and what is about an account to that account's
// object.

import { fault } from './answer.js'
import { durable } from './durable.js'
import * as rust from './index.js'
import { laneTo } from './lane.js'
import { guarded } from './module.js'
import { Asked, IN_WORKER } from './request.js'

export const Account = durable(rust.Account, ['fetch', 'alarm', 'webSocketMessage', 'webSocketClose', 'webSocketError'])
export const Directory = durable(rust.Directory, ['fetch'])

/**
 * Whether the body is left for the account's object to read. Of the changes of an account there are some that its user
 * may not make, so that those are looked at here, too.
 */
const isForObject = ({ method, path }) => method !== 'PATCH' && path.startsWith('/v1/accounts/')

export default {
  async fetch(request, env, context) {
    try {
      const asked = new Asked(request, IN_WORKER)
      let body = isForObject(asked) ? undefined : await asked.body()
      let served = guarded(() => rust.fetch(asked.head, body, env))
      if (served instanceof Promise) served = await served
      if (typeof served !== 'string') return served
      const [mark, account] = [served[0], served.slice(1)]
      const object = env.ACCOUNTS.getByName(account)
      if (mark !== '+') return await object.fetch(forwarded(request, body))
      const lane = laneTo(account)
      if (lane.isBusy() && asked.isShort) {
        body = await asked.body()
        const answer = await lane.join(asked.head, body, object, context)
        if (answer) return answer
      }
      return await lane.pass(object, forwarded(request, body), context)
    } catch (error) {
      return fault(request, error)
    }
  },
}

/** The request as it came, which costs less than reading it again; or with the body that was read of it. */
const forwarded = (request, body) => (body ? new Request(request, { body }) : request)
