/** The codes of this package and of the API. An API that is newer than this list may have more. */
export type ErrorCode =
  | 'invalid_request' | 'invalid_json' | 'unknown_model' | 'unknown_meter' | 'invalid_quantity' | 'invalid_credits'
  | 'amount_too_large' | 'unknown_plan' | 'unknown_perk' | 'unknown_feature' | 'invalid_time_zone' | 'invalid_cursor'
  | 'unknown_usage_format' | 'invalid_account_id' | 'idempotency_key_required' | 'test_clock_disabled'
  | 'unauthenticated' | 'forbidden' | 'insufficient_credits' | 'spend_limit_reached' | 'entitlement_exhausted'
  | 'account_not_found' | 'hold_not_found' | 'charge_not_found' | 'grant_not_found' | 'not_found'
  | 'account_exists' | 'plan_transition_forbidden' | 'hold_not_open' | 'refund_exceeds_charge' | 'grant_ended'
  | 'own_invitation' | 'idempotency_key_reused'
  | 'invalid_account' | 'invalid_catalog' | 'network_error' | 'unexpected_answer' | 'usage_missing'
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
  /** Of `insufficient_credits` and `spend_limit_reached`: what the request needs. */
  readonly required?: number
  /** Of `insufficient_credits`: what could pay for this request. */
  readonly available?: number
  /** Of `insufficient_credits`: what the account owes. */
  readonly owed?: number
  /** Of `insufficient_credits`: what is missing. */
  readonly shortfall?: number
  /** Of `spend_limit_reached`: which limit, how high it is, what is spent and what is held of it, and until when it lasts. */
  readonly window?: 'day' | 'month'
  readonly limit?: number
  readonly spent?: number
  readonly held?: number
  readonly resets_at?: string
}
