import type {
  Account, AccountEstimate, Balance, BalanceGrant, Catalog, Category, Draw, Estimate, Figures, Line, Meter, PricedRequest,
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

export type OnExcess = 'owe' | 'forgive' | 'reject'

export interface Opening {
  plan: string
  time_zone?: string
  perks?: readonly string[]
  since?: string
}

export interface PlanChange {
  plan: string
  effective?: 'now' | 'period_end'
  dry_run?: boolean
}

export interface Hold {
  id: string
  status: 'held' | 'captured' | 'released' | 'lapsed'
  credits: number
  list_credits: number
  waived: boolean
  draws: Draw[]
  lines: Line[]
  catalog: string
  created_at: string
  expires_at: string
}

export interface Charge {
  id: string
  credits: number
  list_credits: number
  from_hold: number
  excess: number
  owed: number
  forgiven: number
  late: boolean
  waived: boolean
  draws: Draw[]
  lines: Line[]
  rounding: number
  catalog: string
  at: string
}

export interface Refund {
  id: string
  charge: string
  credits: number
  owed_cancelled: number
  draws: Draw[]
}

export interface NewGrant {
  kind: 'bonus' | 'pack' | 'invitation' | 'promotion' | 'adjustment'
  credits: number
  category?: Category
  priority?: number
  scope?: readonly string[]
  effective_at?: string
  expires_at?: string
}

/** A threshold. */
export interface Alert {
  id: string
  /** What is available falls below `credits`; or more than `credits` is spent in a credit day. */
  type: 'available_below' | 'spent_today_above'
  credits: number
}

/** An alert, and the id of the entry that crossed it last. */
export interface Watch extends Alert {
  crossed_by: string | null
}

export interface NewPromotion {
  credits: number
  starts_at?: string | null
  ends_at?: string | null
  limit?: number | null
  scope?: readonly string[] | null
  valid_days?: number | null
}

export interface Entry {
  seq: number
  id: string
  at: string
  kind: string
  /** The signed change of what is available. */
  credits: number
  balance: Figures
  /** What an entry of this kind has beside. */
  [member: string]: unknown
}

export interface EntriesQuery {
  limit?: number
  cursor?: string
  order?: 'asc' | 'desc'
  kind?: string
  model?: string
  from?: string
  to?: string
}

export interface UsageFigures {
  credits: number
  list_credits: number
  calls: number
  quantities: { [meter in Meter]?: number }
}

export interface UsageReport {
  group_by: 'model' | 'day' | 'modality'
  groups: (UsageFigures & { key: string | null })[]
  total: UsageFigures
}

export type Feature =
  | { type: 'limit', limit: number, used: number, remaining: number }
  | { type: 'static', value: number }

/** What a metered call returns: what it used, or something that says it. */
export type Metered = PricedRequest | { readonly usage?: object | null } | { readonly usageMetadata?: object | null }

export interface MeteredOptions<Result> {
  /** How long the hold lives; 900 by default. */
  ttl_seconds?: number
  /** What happens to what no credits are there for. By default it is owed. */
  on_excess?: OnExcess
  /** The format of the usage, where the result does not say. */
  usage_format?: 'meters' | 'openai' | 'anthropic' | 'gemini'
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

  health(options?: CallOptions): Promise<{ version: string, [member: string]: unknown }>
  catalog(options?: CallOptions): Promise<Catalog>
  estimate(request: PricedRequest, options?: CallOptions): Promise<Estimate>
  promotion(code: string, options?: CallOptions): Promise<{ [member: string]: unknown }>
  offerPromotion(code: string, offer: NewPromotion, options?: CallOptions): Promise<{ [member: string]: unknown }>
  memorialWall(query?: { limit?: number, cursor?: string }, options?: CallOptions): Promise<{ [member: string]: unknown }>

  openAccount(account: string, opening: Opening, options?: CallOptions): Promise<Account>
  account(account: string, options?: CallOptions): Promise<Account>
  updateAccount(account: string, changes: { time_zone?: string, display_name?: string | null }, options?: CallOptions): Promise<Account>
  changePlan(account: string, change: PlanChange, options?: CallOptions): Promise<Account>
  /** Sets the most that the account may spend a day and a month, in place of the limits before. */
  setSpendLimits(account: string, limits: { day?: number | null, month?: number | null }, options?: CallOptions): Promise<Account>
  alerts(account: string, options?: CallOptions): Promise<{ alerts: Watch[] }>
  /** Sets the thresholds of which the receiver is told, in place of those before. */
  setAlerts(account: string, alerts: readonly Alert[], options?: CallOptions): Promise<{ alerts: Watch[] }>
  grantPerk(account: string, perk: string, options?: CallOptions): Promise<Account>
  revokePerk(account: string, perk: string, options?: CallOptions): Promise<Account>
  balance(account: string, query?: { at?: string }, options?: CallOptions): Promise<Balance>
  preview(account: string, request: PricedRequest, options?: CallOptions): Promise<AccountEstimate>

  hold(account: string, request: PricedRequest & { ttl_seconds?: number }, options?: KeyedOptions): Promise<{ hold: Hold, balance: Figures }>
  holds(account: string, query?: { status?: Hold['status'], limit?: number, cursor?: string }, options?: CallOptions): Promise<{ holds: Hold[], next_cursor: string | null }>
  readHold(account: string, hold: string, options?: CallOptions): Promise<{ hold: Hold, [member: string]: unknown }>
  capture(account: string, hold: string, request: PricedRequest & { on_excess?: OnExcess }, options?: KeyedOptions): Promise<{ charge: Charge, hold: Hold, balance: Figures }>
  release(account: string, hold: string, options?: KeyedOptions): Promise<{ hold: Hold, balance: Figures }>
  extend(account: string, hold: string, ttl: { ttl_seconds: number }, options?: KeyedOptions): Promise<{ hold: Hold, balance: Figures }>
  charge(account: string, request: PricedRequest & { on_excess?: OnExcess }, options?: KeyedOptions): Promise<{ charge: Charge, balance: Figures }>
  refund(account: string, charge: string, part?: { credits?: number }, options?: KeyedOptions): Promise<{ refund: Refund, balance: Figures }>

  grant(account: string, grant: NewGrant, options?: KeyedOptions): Promise<{ grant: BalanceGrant, balance: Figures }>
  grants(account: string, query?: { limit?: number, cursor?: string }, options?: CallOptions): Promise<{ grants: BalanceGrant[], next_cursor: string | null }>
  voidGrant(account: string, grant: string, options?: KeyedOptions): Promise<{ grant: BalanceGrant, balance: Figures }>
  invitation(account: string, options?: CallOptions): Promise<{ code: string, rewarded: number, limit: number }>
  redeemInvitation(account: string, code: string, options?: KeyedOptions): Promise<{ grant: BalanceGrant, balance: Figures }>
  redeemPromotion(account: string, code: string, options?: KeyedOptions): Promise<{ grant: BalanceGrant, balance: Figures }>

  entries(account: string, query?: EntriesQuery, options?: CallOptions): Promise<{ entries: Entry[], next_cursor: string | null }>
  /** Every entry that a query matches, page by page as they are needed. */
  allEntries(account: string, query?: EntriesQuery, options?: CallOptions): AsyncGenerator<Entry, void, void>
  /** Whether the journal is as it was written. */
  verifyEntries(account: string, query?: { cursor?: string }, options?: CallOptions): Promise<{ verified: boolean, [member: string]: unknown }>
  usage(account: string, query: { group_by: UsageReport['group_by'], from?: string, to?: string }, options?: CallOptions): Promise<UsageReport>

  entitlements(account: string, options?: CallOptions): Promise<{ features: { [feature: string]: Feature }, unlimited_models: string[] }>
  useFeature(account: string, feature: string, quantity?: number, options?: KeyedOptions): Promise<{ feature: Feature, balance: Figures }>
  returnFeature(account: string, feature: string, quantity?: number, options?: KeyedOptions): Promise<{ feature: Feature, balance: Figures }>

  /** A WebSocket that tells the balance after every change. */
  live(account: string): Promise<WebSocket>

  /**
   * Holds what a request costs at most, runs `call(hold)`, and captures what it really used. A call that fails gives
   * the hold back. An error after the call has its `hold`, its `result`, and the `capture` that can be sent again.
   */
  metered<Result extends Metered>(account: string, request: PricedRequest, call: (hold: Hold) => Result | Promise<Result>, options?: MeteredOptions<Result>): Promise<MeteredAnswer<Result>>
  metered<Result>(account: string, request: PricedRequest, call: (hold: Hold) => Result | Promise<Result>, options: MeteredOptions<Result> & { usage: (result: Result) => Metered | Promise<Metered> }): Promise<MeteredAnswer<Result>>
}
