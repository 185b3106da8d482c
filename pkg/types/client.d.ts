import type * as api from './api.js'
import type {
  Account, AccountEstimate, Balance, Catalog, CatalogSource, Charge, Entry, Estimate, Figures, Given, Hold, OnExcess,
  PricedRequest, UsageFormat, UsageReport,
} from './shapes.js'

export type * from './shapes.js'
export { EdgeCreditsError } from './error.js'
export type { ErrorCode } from './error.js'

export interface Settings {
  /** How often a call is sent again after a network error, a 5xx or a 429. By default 3 times. */
  retries?: number
  /** How often the capture of `metered` is. By default 8 times, which is about half a minute. */
  captureRetries?: number
  /** How long an answer may take. By default 30,000 ms. */
  timeoutMs?: number
  /** The first wait before a call is sent again; it doubles every time. By default 250 ms. */
  backoffMs?: number
}

export interface EdgeCreditsOptions extends Settings {
  /** Where the API is, without `/v1`. */
  baseUrl: string | URL
  /** A service key or a user token, or a function that gives one for every call. */
  token?: string | (() => string | Promise<string>)
  /** A fetch other than the global one. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

/** What any call may be made with. */
export interface CallOptions {
  signal?: AbortSignal
  headers?: Readonly<Record<string, string>>
  retries?: number
  timeoutMs?: number
}

/** What a call that moves credits may be made with. */
export interface KeyedOptions extends CallOptions {
  /** What makes it happen once, however often it is sent. By default each call has one of its own. */
  idempotencyKey?: string
}

export type Opening = Given<api.OpeningRequest>
export type Changes = Given<api.UpdateRequest>
export type PlanChange = Given<api.PlanRequest>
export type NewGrant = Given<api.GrantRequest>
export type NewPromotion = Given<api.PromotionRequest>
export type Alert = Given<api.AlertsRequest>['alerts'][number]
export type NewPublication = { readonly catalog: CatalogSource, readonly effective_at?: string | null }
export type EntriesQuery = Given<api.ListEntriesQuery>

/** What a metered call returns: what it used, or something that says it. */
export type Metered = PricedRequest | { readonly usage?: object | null } | { readonly usageMetadata?: object | null }

export interface MeteredOptions<Result> {
  /** How long the hold lives; 900 by default. */
  ttl_seconds?: number
  /** What happens to what no credits are there for. By default it is owed. */
  on_excess?: OnExcess
  /** The format of the usage, where the result does not say. */
  usage_format?: UsageFormat
  /** Finds what was used in a result that does not say it by itself. */
  usage?: (result: Result) => Metered | Promise<Metered>
  /** What the keys of the hold, the capture and the release are made of. */
  idempotencyKey?: string
  /** Ends the wait for the hold. What happens after it happens. */
  signal?: AbortSignal
}

export interface MeteredAnswer<Result> {
  /** What the call returned. */
  result: Result
  charge: Charge
  hold: Hold
  balance: Figures
}

/**
 * A client of the HTTP API. Refusals and failures are thrown as an `EdgeCreditsError`. Network errors, 5xx and 429 are
 * tried again, always under the same idempotency key.
 */
export class EdgeCredits {
  constructor(options: EdgeCreditsOptions)

  health(options?: CallOptions): Promise<api.Health>
  catalog(options?: CallOptions): Promise<Catalog>
  catalogs(options?: CallOptions): Promise<api.CatalogList>
  /** The catalog of a hash, as entries, holds and estimates state it. */
  catalogByHash(hash: string, options?: CallOptions): Promise<Catalog>
  publishCatalog(publication: NewPublication, options?: CallOptions): Promise<api.Publication>
  estimate(request: PricedRequest, options?: CallOptions): Promise<Estimate>
  promotion(code: string, options?: CallOptions): Promise<api.Promotion>
  offerPromotion(code: string, offer: NewPromotion, options?: CallOptions): Promise<api.Promotion>
  memorialWall(query?: {}, options?: CallOptions): Promise<api.MemorialWall>

  openAccount(account: string, opening: Opening, options?: CallOptions): Promise<Account>
  account(account: string, options?: CallOptions): Promise<Account>
  updateAccount(account: string, changes: Changes, options?: CallOptions): Promise<Account>
  changePlan(account: string, change: PlanChange, options?: CallOptions): Promise<Account>
  /** Sets the most that the account may spend a day and a month, in place of the limits before. */
  setSpendLimits(account: string, limits: Given<api.SpendLimitsRequest>, options?: CallOptions): Promise<Account>
  alerts(account: string, options?: CallOptions): Promise<api.Alerts>
  /** Sets the thresholds of which the receiver is told, in place of those before. */
  setAlerts(account: string, alerts: readonly Alert[], options?: CallOptions): Promise<api.Alerts>
  grantPerk(account: string, perk: string, options?: CallOptions): Promise<Account>
  revokePerk(account: string, perk: string, options?: CallOptions): Promise<Account>
  balance(account: string, query?: Given<api.ReadBalanceQuery>, options?: CallOptions): Promise<Balance>
  preview(account: string, request: PricedRequest, options?: CallOptions): Promise<AccountEstimate>

  hold(account: string, request: PricedRequest & { ttl_seconds?: number }, options?: KeyedOptions): Promise<api.HoldAnswer>
  holds(account: string, query?: Given<api.ListHoldsQuery>, options?: CallOptions): Promise<api.Holds>
  readHold(account: string, hold: string, options?: CallOptions): Promise<api.HoldAnswer>
  capture(account: string, hold: string, request: PricedRequest & { on_excess?: OnExcess }, options?: KeyedOptions): Promise<api.CaptureAnswer>
  release(account: string, hold: string, options?: KeyedOptions): Promise<api.HoldAnswer>
  extend(account: string, hold: string, ttl: Given<api.ExtensionRequest>, options?: KeyedOptions): Promise<api.HoldAnswer>
  charge(account: string, request: PricedRequest & { on_excess?: OnExcess }, options?: KeyedOptions): Promise<api.ChargeAnswer>
  refund(account: string, charge: string, part?: Given<api.RefundRequest>, options?: KeyedOptions): Promise<api.RefundAnswer>

  grant(account: string, grant: NewGrant, options?: KeyedOptions): Promise<api.GrantAnswer>
  grants(account: string, query?: Given<api.ListGrantsQuery>, options?: CallOptions): Promise<api.Grants>
  voidGrant(account: string, grant: string, options?: KeyedOptions): Promise<api.GrantAnswer>
  invitation(account: string, options?: CallOptions): Promise<api.Invitation>
  redeemInvitation(account: string, code: string, options?: KeyedOptions): Promise<api.GrantAnswer>
  redeemPromotion(account: string, code: string, options?: KeyedOptions): Promise<api.GrantAnswer>

  entries(account: string, query?: EntriesQuery, options?: CallOptions): Promise<api.Entries>
  /** Every entry that a query matches, page by page as they are needed. */
  allEntries(account: string, query?: EntriesQuery, options?: CallOptions): AsyncGenerator<Entry, void, void>
  /** Whether the journal is as it was written. */
  verifyEntries(account: string, query?: Given<api.VerifyEntriesQuery>, options?: CallOptions): Promise<api.Verification>
  usage(account: string, query: Given<api.ReadUsageQuery>, options?: CallOptions): Promise<UsageReport>

  entitlements(account: string, options?: CallOptions): Promise<api.Entitlements>
  useFeature(account: string, feature: string, quantity?: number, options?: KeyedOptions): Promise<api.FeatureAnswer>
  returnFeature(account: string, feature: string, quantity?: number, options?: KeyedOptions): Promise<api.FeatureAnswer>

  /** A WebSocket that tells the balance after every change. */
  live(account: string): Promise<WebSocket>

  /**
   * Holds what a request costs at most, runs `call(hold)`, and captures what it really used. A call that fails gives
   * the hold back. An error after the call has its `hold`, its `result`, and the `capture` that can be sent again.
   */
  metered<Result extends Metered>(account: string, request: PricedRequest, call: (hold: Hold) => Result | Promise<Result>, options?: MeteredOptions<Result>): Promise<MeteredAnswer<Result>>
  metered<Result>(account: string, request: PricedRequest, call: (hold: Hold) => Result | Promise<Result>, options: MeteredOptions<Result> & { usage: (result: Result) => Metered | Promise<Metered> }): Promise<MeteredAnswer<Result>>
}
