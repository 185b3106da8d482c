import type { Code } from './api.js'

/** The codes of the API and of this package. An API that is newer than this list may have more. */
export type ErrorCode =
  | Code
  | 'invalid_account' | 'invalid_entry' | 'unknown_catalog' | 'network_error' | 'unexpected_answer' | 'usage_missing'
  | (string & {})

/** What every refusal and every failure of this package is thrown as. */
export class EdgeCreditsError extends Error {
  constructor(facts: { code: ErrorCode, detail: string, field?: string, status?: number }, options?: ErrorOptions)
  override readonly name: 'EdgeCreditsError'
  /** Why: what to branch on. */
  readonly code: ErrorCode
  /** Why, in a sentence. The message is the same behind the field. */
  readonly detail: string
  /** Where in the request, such as `items[1].usage.seconds`. */
  readonly field?: string
  /** The HTTP status, of an answer of the API. */
  readonly status?: number
  /** Of `insufficient_credits`: what the request needs. */
  readonly required?: number
  /** Of `insufficient_credits`: what could pay for this request. */
  readonly available?: number
  /** Of `insufficient_credits`: what the account owes. */
  readonly owed?: number
  /** Of `insufficient_credits`: what is missing. */
  readonly shortfall?: number
}
