// What requests and answers look like, here and in the HTTP API. Most of it is the API's own document, in `api.d.ts`. Only
// what that cannot say in a way that TypeScript understands is written here: what a priced request is, by what it has, and
// what the estimator takes. Amounts of credits are numbers with at most six decimals; times are RFC 3339 in UTC.

import type * as api from './api.js'

export type {
  Account, AccountEstimate, Called, CatalogList, Category, Charge, Draw, Entitlements, Entry, Estimate, Grant, GrantKind,
  Health, Hold, HoldStatus, Invitation, Line, MemorialWall, Meter, Modality, OnExcess, Payment, Promotion, Publication,
  Refund, Source, UsageFormat, Verification,
} from './api.js'

/** Something that is read only, in all its depth: what is handed in is not changed, and the catalog in use neither. */
export type Given<T> = T extends object ? { readonly [name in keyof T]: Given<T[name]> } : T

/** A balance, in three figures. */
export type Figures = api.Balance
export type Balance = api.AccountBalance
export type BalanceGrant = Balance['grants'][number]
export type ModelLine = Extract<api.Line, { model: string }>
export type FlatLine = Exclude<api.Line, ModelLine>
export type Feature = api.Entitlements['features'][string]
/** An entry that charges something. */
export type ChargeEntry = Extract<api.Entry, { kind?: 'charged' | 'captured' }>
/** A catalog that was checked. */
export type Catalog = Given<api.Catalog>
export type UsageReport = api.Usage

/** How much of every meter. What is not mentioned was not used. Quantities are whole but for `seconds`, which take three decimals. */
export type Usage = Given<api.Quantities>

/** A provider's own usage object, as it is. Fields that are not known are passed over. */
export type ProviderUsage = object

/** One call of one model. */
export type ModelItem =
  | { readonly model: string, readonly usage: Usage, readonly usage_format?: 'meters', readonly usage_max?: Usage }
  | {
    readonly model: string
    readonly usage: ProviderUsage
    readonly usage_format: Exclude<api.UsageFormat, 'meters'>
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
  | { readonly model: string, readonly usage?: ProviderUsage, readonly usage_format: Exclude<api.UsageFormat, 'meters'> }

/** The charge of an entry, priced again. */
export interface Explanation {
  /** The price: what was charged and what was forgiven. */
  credits: number
  /** What it would cost without a perk. */
  list_credits: number
  waived: boolean
  lines: api.Line[]
  rounding: number
  /** The hash of the catalog that the entry names. */
  catalog: string
  /** Whether the entry states the same; null where it cannot be told, since a later catalog may have priced a part of it. */
  agrees: boolean | null
}

/** What `preview` needs of an account: its balance, its perks and its spend limits, as they were fetched. */
export interface AccountSnapshot {
  readonly perks?: readonly string[] | null
  readonly spend_limits?: Given<api.Account['spend_limits']> | null
  readonly balance: BalanceSnapshot
}

/** What `preview` needs of a balance. */
export type BalanceSnapshot = Given<Pick<Balance, 'as_of' | 'available' | 'held' | 'owed'>> & {
  readonly grants: readonly Given<Omit<BalanceGrant, 'credits'>>[]
}

type Models = Catalog['models'][number]
type Plans = Catalog['plans'][number]
type Perks = Catalog['perks'][number]

/** Some fields of a type, and others of it that may be left out. */
type Partly<T, Needed extends keyof T> = Pick<T, Needed> & { readonly [name in Exclude<keyof T, Needed>]?: T[name] }

/** A catalog as somebody wrote it: models, plans, perks and packs as data. */
export interface CatalogSource {
  /** What charges are rounded up to a multiple of, in credits. */
  readonly increment: number
  readonly models?: readonly Partly<Models, 'id' | 'name' | 'modality' | 'rates'>[]
  readonly plans?: readonly Partly<Plans, 'id' | 'name' | 'family'>[]
  readonly perks?: readonly Partly<Perks, 'id' | 'name'>[]
  readonly packs?: Catalog['packs']
  readonly hash?: string
}
