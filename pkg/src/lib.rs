//! The core as JavaScript calls it. There is no rule here: values are handed in and answers are handed out.
//!
//! Values cross as numbers: a [`tape`] carries any JSON value, and [`Estimator::price_calls`] takes calls that are
//! nothing but numbers, many at a time. That is what makes an estimate cost about a microsecond.

mod tape;

use edge_credits::catalog::Catalog;
use edge_credits::credits::Credits;
use edge_credits::estimate::{AccountEstimate, account_estimate, estimate};
use edge_credits::explain::explain;
use edge_credits::meter::{Meter, Quantities, Quantity};
use edge_credits::price::{Line, Offer, Price, affordable, price};
use edge_credits::refusal::{Code, Refusal};
use edge_credits::request::{Item, PricedRequest};
use edge_credits::snapshot::Snapshot;
use edge_credits::value::{Fields, Value};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// The numbers that are kept for calls on their way in, and as many for prices on their way out.
const ROOM: usize = 4_096;
/// What stands for a call that has no price, in place of the price.
const REFUSED: f64 = -1.0;

/// A catalog, ready to price requests.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Estimator {
    catalog: Catalog,
    /// The one request that calls are priced with.
    call: PricedRequest,
    calls: Vec<f64>,
    prices: Vec<f64>,
}

/// What is wrong with a catalog that [`Estimator::open`] does not take.
#[wasm_bindgen]
pub fn judge(catalog: &[f64]) -> Vec<f64> {
    answer(read_catalog(catalog))
}

/// The names of all meters, in their order.
#[wasm_bindgen]
pub fn meters() -> Vec<f64> {
    answer(Ok(Meter::ALL))
}

#[wasm_bindgen]
impl Estimator {
    /// An estimator of this catalog, if it is one.
    pub fn open(catalog: &[f64]) -> Option<Estimator> {
        Some(Estimator {
            catalog: read_catalog(catalog).ok()?,
            call: PricedRequest {
                items: vec![Item::Model {
                    model: String::new(),
                    usage: Quantities::NONE,
                    usage_max: None,
                    path: String::new(),
                }],
            },
            calls: vec![0.0; ROOM],
            prices: Vec::with_capacity(ROOM),
        })
    }

    /// The catalog.
    pub fn catalog(&self) -> Vec<f64> {
        answer(Ok(&self.catalog))
    }

    /// What `POST /v1/estimate` answers to a request.
    pub fn estimate(&self, request: &[f64]) -> Vec<f64> {
        let request = tape::read(request).and_then(|request| whole(&request));
        answer(request.and_then(|request| estimate(&request, &self.catalog)))
    }

    /// What `POST /v1/accounts/{a}/estimate` answers to a request, by a snapshot of the account.
    pub fn preview(&self, account: &[f64], request: &[f64]) -> Vec<f64> {
        answer(self.previewed(account, request))
    }

    /// The largest quantity of a meter that these credits pay for.
    pub fn affordable(&self, request: &[f64], meter: &[f64], credits: &[f64]) -> Vec<f64> {
        answer(self.affordable_quantity(request, meter, credits))
    }

    /// The charge of a published entry, priced again.
    pub fn explain(&self, entry: &[f64]) -> Vec<f64> {
        let entry = tape::read(entry).map_err(|deep| deep.coded(Code::InvalidEntry));
        answer(entry.and_then(|entry| explain(&entry, &self.catalog)))
    }

    /// Where calls are to be written: for each of them the place of its model in the catalog, how many meters it
    /// mentions, and the place of each meter among all with its quantity. There is room for [`Estimator::room`]
    /// numbers.
    pub fn calls(&mut self) -> *mut f64 {
        self.calls.as_mut_ptr()
    }

    /// How many numbers may be written there.
    pub fn room() -> usize {
        ROOM
    }

    /// Prices so many calls and says where the prices are, in micro-credits: for each call its price, its rounding,
    /// how many lines it has, and of each line the meter and its credits. A call that has no price is just -1.
    pub fn price_calls(&mut self, count: usize) -> *const f64 {
        let Estimator {
            catalog,
            call,
            calls,
            prices,
        } = self;
        prices.clear();
        let mut rest = calls.as_slice();
        for _ in 0..count {
            let price = read_call(&mut rest, call).and_then(|model| {
                let model = catalog.models().get(model)?;
                let offer = Offer {
                    model,
                    waived: false,
                };
                price(call, catalog.increment(), |_| Some(offer)).ok()
            });
            match price {
                Some(price) => write_price(&price, prices),
                None => prices.push(REFUSED),
            }
        }
        prices.as_ptr()
    }
}

impl Estimator {
    fn previewed(&self, account: &[f64], request: &[f64]) -> Result<AccountEstimate<'_>, Refusal> {
        let account = tape::read(account).map_err(|deep| deep.coded(Code::InvalidAccount))?;
        let snapshot = Snapshot::parse(&account)?;
        account_estimate(
            &whole(&tape::read(request)?)?,
            &self.catalog,
            snapshot.wallet(),
        )
    }

    fn affordable_quantity(
        &self,
        request: &[f64],
        meter: &[f64],
        credits: &[f64],
    ) -> Result<Option<Quantity>, Refusal> {
        let request = tape::read(request)?;
        let request =
            PricedRequest::parse_open(&Fields::read(&request, "", &PricedRequest::FIELDS)?)?;
        let meter = match tape::read(meter)? {
            Value::Text(name) => Meter::parse(&name).ok_or_else(|| {
                Refusal::new(Code::UnknownMeter, format!("`{name}` is not a meter")).at("meter")
            }),
            other => {
                let detail = format!("`meter` must be a string, not {}", other.describe());
                Err(Refusal::new(Code::InvalidRequest, detail).at("meter"))
            }
        }?;
        let credits = Credits::parse(&tape::read(credits)?, "credits")?;
        let offer = |model: &str| {
            let model = self.catalog.model(model)?;
            Some(Offer {
                model,
                waived: false,
            })
        };
        affordable(&request, meter, credits, self.catalog.increment(), &offer)
    }
}

fn read_catalog(catalog: &[f64]) -> Result<Catalog, Refusal> {
    let catalog = tape::read(catalog).map_err(|deep| deep.coded(Code::InvalidCatalog))?;
    Catalog::parse(&catalog)
}

/// Reads a request that states its usage.
fn whole(request: &Value) -> Result<PricedRequest, Refusal> {
    PricedRequest::parse(&Fields::read(request, "", &PricedRequest::FIELDS)?, true)
}

/// Reads the next call into `call` and gives the place of its model.
fn read_call(calls: &mut &[f64], call: &mut PricedRequest) -> Option<usize> {
    let (&[model, mentioned], rest) = calls.split_first_chunk()?;
    let (meters, rest) = rest.split_at_checked((mentioned as usize).checked_mul(2)?)?;
    *calls = rest;
    let mut quantities = Quantities::NONE;
    for pair in meters.chunks_exact(2) {
        let &[meter, quantity] = pair else {
            return None;
        };
        let meter = *Meter::ALL.get(meter as usize)?;
        quantities.set(
            meter,
            Quantity::parse(&Value::Number(quantity), meter, "").ok()?,
        );
    }
    let [Item::Model { usage, .. }] = call.items.as_mut_slice() else {
        return None;
    };
    *usage = quantities;
    Some(model as usize)
}

fn write_price(price: &Price, prices: &mut Vec<f64>) {
    // Micro-credits of a legal amount are exact in a double.
    let number = |credits: Credits| credits.micros() as f64;
    prices.extend([
        number(price.credits),
        number(price.rounding),
        price.lines.len() as f64,
    ]);
    for line in &price.lines {
        if let Line::Model { meter, credits, .. } = line {
            prices.extend([*meter as usize as f64, number(*credits)]);
        }
    }
}

fn answer<T: Serialize>(result: Result<T, Refusal>) -> Vec<f64> {
    match result {
        Ok(answer) => tape::write(true, &answer),
        Err(refusal) => tape::write(
            false,
            &[
                Some(refusal.code.as_str()),
                Some(&*refusal.detail),
                refusal.field.as_deref(),
            ],
        ),
    }
}
