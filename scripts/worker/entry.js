// The Worker's entry point: hands what arrives to the Rust module, and what is about an account to that account's
// object.

import { fault } from './answer.js'
import { durable } from './durable.js'
import * as rust from './index.js'
import { guarded } from './module.js'
import { bodyOf, headOf, pathOf } from './request.js'

export const Account = durable(rust.Account, ['fetch', 'alarm', 'webSocketMessage', 'webSocketClose', 'webSocketError'])
export const Directory = durable(rust.Directory, ['fetch'])

/**
 * Whether the body is left for the account's object to read. Of the changes of an account there are some that its user
 * may not make, so that those are looked at here, too.
 */
const isForObject = (request) => request.method !== 'PATCH' && pathOf(request.url).startsWith('/v1/accounts/')

export default {
  async fetch(request, env) {
    try {
      const body = isForObject(request) ? undefined : await bodyOf(request)
      const served = await guarded(() => rust.fetch(headOf(request), body, env))
      if (typeof served !== 'string') return served
      // As it came: copying it would cost more than reading it again.
      const forwarded = body === undefined ? request : new Request(request, { body })
      return await env.ACCOUNTS.getByName(served).fetch(forwarded)
    } catch (error) {
      return fault(request, error)
    }
  },
}
