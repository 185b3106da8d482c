import type {
  AccountEstimate, AccountSnapshot, BalanceSnapshot, Catalog, CatalogSource, ChargeEntry, Estimate, Explanation, Given, Meter,
  OpenRequest, PricedRequest,
} from './shapes.js'

export type * from './shapes.js'
export { EdgeCreditsError } from './error.js'
export type { ErrorCode } from './error.js'

/** Prices requests at once, without a network. Whatever is wrong with a request is thrown as an `EdgeCreditsError`. */
export interface Estimator {
  /** What a request costs: what `POST /v1/estimate` answers. */
  estimate(request: PricedRequest): Estimate
  /** What each of these requests costs. Of one that is refused, the error's `field` begins with its place: `[3].model`. */
  estimateAll(requests: readonly PricedRequest[]): Estimate[]
  /** What a request would do to an account, as of the moment at which the account, or its balance, was fetched. Only an account has perks. */
  preview(account: AccountSnapshot | BalanceSnapshot, request: PricedRequest): AccountEstimate
  /** The largest quantity of a meter that these credits pay for, the request's other meters as they are; null where nothing bounds it, or not even nothing is paid for. */
  affordable(request: OpenRequest, meter: Meter, credits: number): number | null
  /**
   * The charge of a journal's entry, `charged` or `captured`, priced again. An entry that was priced with another
   * catalog is an error with the code `unknown_catalog`.
   */
  explain(entry: Given<ChargeEntry>): Explanation
  /** The catalog in use, frozen. */
  readonly catalog: Catalog
}

/** An estimator of the published catalog, or of another one, such as `GET /v1/catalog` answers. */
export function createEstimator(options?: { readonly catalog?: CatalogSource }): Promise<Estimator>
