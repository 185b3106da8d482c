// What requests and answers look like, here and in the HTTP API. Amounts of credits are numbers with at most six
// decimals; times are RFC 3339 in UTC.

export type Meter =
  | 'input_tokens' | 'cached_input_tokens' | 'cache_write_tokens' | 'output_tokens' | 'images' | 'seconds' | 'uses'

/** How much of every meter. What is not mentioned was not used. Quantities are whole but for `seconds`, which take three decimals. */
export type Usage = { readonly [meter in Meter]?: number }

export type UsageFormat = 'meters' | 'openai' | 'anthropic' | 'gemini'

/** A provider's own usage object, as it is. Fields that are not known are passed over. */
export type ProviderUsage = object

/** One call of one model. */
export type ModelItem =
  | { readonly model: string, readonly usage: Usage, readonly usage_format?: 'meters', readonly usage_max?: Usage }
  | {
    readonly model: string
    readonly usage: ProviderUsage
    readonly usage_format: Exclude<UsageFormat, 'meters'>
    readonly usage_max?: ProviderUsage
  }

/** A flat amount for a feature that is no model. */
export type FlatItem = { readonly credits: number, readonly description: string }

/** A workflow: one charge, rounded once. */
export type Workflow = { readonly items: readonly (ModelItem | FlatItem)[] }

/** What can be priced. */
export type PricedRequest = ModelItem | FlatItem | Workflow

/** A request whose usage may be left out, of which only one meter is in question. */
export type OpenRequest =
  | { readonly model: string, readonly usage?: Usage, readonly usage_format?: 'meters' }
  | { readonly model: string, readonly usage?: ProviderUsage, readonly usage_format: Exclude<UsageFormat, 'meters'> }

export interface ModelLine {
  model: string
  meter: Meter
  quantity: number
  /** How many units the rate is the price of. */
  per: number
  /** The price of so many units, in credits. */
  rate: number
  credits: number
  /** Whether the line is at list price only, and costs the account nothing. */
  waived?: true
}

export interface FlatLine {
  description: string
  credits: number
}

/** The lines and what rounding added make the price. */
export type Line = ModelLine | FlatLine

export interface Estimate {
  credits: number
  /** The price at the ceiling, if the request states a `usage_max`. */
  credits_max?: number
  lines: Line[]
  rounding: number
  /** The hash of the catalog that it was priced with. */
  catalog: string
}

export type GrantKind = 'daily' | 'monthly' | 'bonus' | 'pack' | 'invitation' | 'promotion' | 'refund' | 'adjustment'
export type Category = 'promo' | 'paid'

/** Credits that went from a grant. */
export interface Draw {
  grant: string
  kind: GrantKind
  credits: number
}

export interface Figures {
  available: number
  held: number
  owed: number
}

export interface AccountEstimate extends Estimate {
  access: { allowed: boolean, code?: string }
  /** Whether a perk makes it cost nothing. */
  waived: boolean
  list_credits: number
  draws: Draw[]
  balance_after: Figures
  /** Of each meter that the model prices, the largest quantity that the balance pays for; null where nothing bounds it, or not even nothing is paid for. */
  affordable?: { [meter in Meter]?: number | null }
}

export interface BalanceGrant {
  id: string
  kind: GrantKind
  category: Category
  credits: number
  remaining: number
  held: number
  priority: number
  scope: string[] | null
  effective_at: string
  expires_at: string | null
}

export interface Balance extends Figures {
  account: string
  as_of: string
  daily: { credits: number, remaining: number, refreshes_at: string } | null
  grants: BalanceGrant[]
}

export interface Account {
  account: string
  plan: string
  pending_plan: string | null
  time_zone: string
  perks: string[]
  period: { start: string, end: string }
  opened_at: string
  display_name: string | null
  spend_limits: { day: LimitStanding | null, month: LimitStanding | null }
  balance: Balance
}

/** A spend limit, as it stands. What is held counts as if it were spent. */
export interface LimitStanding {
  limit: number
  spent: number
  held: number
  resets_at: string
}

/** What `preview` needs of an account: its balance, its perks and its spend limits, as they were fetched. */
export interface AccountSnapshot {
  readonly perks?: readonly string[] | null
  readonly spend_limits?: {
    readonly day?: Readonly<Omit<LimitStanding, 'held'>> | null
    readonly month?: Readonly<Omit<LimitStanding, 'held'>> | null
  } | null
  readonly balance: BalanceSnapshot
}

/** What `preview` needs of a balance. */
export interface BalanceSnapshot {
  readonly as_of: string
  readonly available: number
  readonly held: number
  readonly owed: number
  readonly grants: readonly {
    readonly id: string
    readonly kind: string
    readonly category: string
    readonly remaining: number
    readonly held: number
    readonly priority: number
    readonly scope: readonly string[] | null
    readonly effective_at: string
    readonly expires_at: string | null
  }[]
}

export type Modality = 'text' | 'image' | 'video' | 'audio'

export interface CatalogModel {
  readonly id: string
  readonly name: string
  readonly modality: Modality
  readonly tags?: readonly string[]
  readonly rates: readonly { readonly meters: readonly Meter[], readonly per: number, readonly rate: number }[]
}

export interface CatalogPlan {
  readonly id: string
  readonly name: string
  readonly family: 'current' | 'legacy'
  readonly daily?: number | null
  readonly monthly?: number | null
  readonly features?: {
    readonly [feature: string]:
      | { readonly type: 'limit', readonly limit: number }
      | { readonly type: 'static', readonly value: number }
  }
}

export interface CatalogPerk {
  readonly id: string
  readonly name: string
  readonly models?: readonly string[]
}

/** A catalog: models, plans and perks as data. */
export interface CatalogSource {
  /** What charges are rounded up to a multiple of, in credits. */
  readonly increment: number
  readonly models?: readonly CatalogModel[]
  readonly plans?: readonly CatalogPlan[]
  readonly perks?: readonly CatalogPerk[]
  readonly hash?: string
}

/** A catalog that was checked. */
export interface Catalog extends CatalogSource {
  readonly models: readonly CatalogModel[]
  readonly plans: readonly CatalogPlan[]
  readonly perks: readonly CatalogPerk[]
  readonly hash: string
}
