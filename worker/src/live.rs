//! Live balances: a WebSocket that tells the balance at once and after every change. The runtime keeps it open while
//! the object sleeps.

use std::cell::Cell;

use edge_credits::account::Account as AccountState;
use edge_credits::time::Instant;
use serde::{Deserialize, Serialize};
use worker::{Date, State, WebSocketPair, WebSocketRequestResponsePair};

use crate::auth;
use crate::object::{Account, Ask};
use crate::problem::{CallFault, Problem};
use crate::published::Timeline;
use crate::reply::Response;
use crate::request::{Header, Headers};
use crate::route::query;
use crate::token;

/// What a browser's token stands behind, among the subprotocols that it offers.
const TOKEN_PREFIX: &str = "bearer.";
/// Why a socket is closed whose token has expired: a violation of policy (RFC 6455).
const EXPIRED: u16 = 1008;

/// Who watches an account.
pub(crate) struct Watchers {
    state: State,
    /// False only if nobody watches: then a change costs nothing here.
    may_be_some: Cell<bool>,
}

/// How long whoever watches may: as long as their token. It outlives the object's memory, as its socket does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pass {
    good_until_seconds: u64,
}

impl Watchers {
    pub(crate) fn new(state: State) -> Watchers {
        let may_be_some = Cell::new(!state.get_websockets().is_empty());
        Watchers { state, may_be_some }
    }

    /// Tells everyone who watches the balance as it stands at `now`.
    pub(crate) fn tell(
        &self,
        account: &AccountState,
        now: Instant,
        catalogs: &Timeline,
    ) -> Result<(), Problem> {
        if !self.may_be_some.get() {
            return Ok(());
        }
        let sockets = self.state.get_websockets();
        self.may_be_some.set(!sockets.is_empty());
        if !sockets.is_empty() {
            let settled = account.settled(now, catalogs.view());
            let balance = serde_json::to_string(&settled.balance_view())?;
            let now_seconds = Date::now().as_millis() / 1000;
            for socket in sockets {
                let pass: Option<Pass> = socket.deserialize_attachment()?;
                let is_good = pass.is_none_or(|pass| now_seconds < pass.good_until_seconds);
                // One that is just closing misses nothing.
                let _ = match is_good {
                    true => socket.send_with_str(&balance),
                    false => socket.close(Some(EXPIRED), Some("the token has expired")),
                };
            }
        }
        Ok(())
    }
}

impl Account {
    /// `GET …/live`
    pub(crate) fn watch(&self, ask: &Ask<'_>, headers: &Headers) -> Result<Response, Problem> {
        let upgrade = headers.get(Header::Upgrade).unwrap_or_default();
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err(CallFault::UpgradeRequired.into());
        }
        query(ask.query, &[])?;
        let balance = serde_json::to_string(&self.settled(ask)?.balance_view())?;
        let watchers = self.watchers();
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        watchers.state.accept_web_socket(&server);
        if let Some(good_until) = token::good_until(auth::credentials(headers)?) {
            server.serialize_attachment(Pass {
                good_until_seconds: u64::try_from(good_until).unwrap_or_default(),
            })?;
        }
        // Text for text, without waking the object: what keeps proxies from closing a quiet socket.
        let pong =
            WebSocketRequestResponsePair::new("ping", "pong").map_err(worker::Error::from)?;
        watchers.state.set_websocket_auto_response(&pong);
        watchers.may_be_some.set(true);
        server.send_with_str(&balance)?;
        let mut response = Response::of_socket(client.as_ref().clone());
        if let Some(offered) = headers.get(Header::WebSocketProtocol)
            && let Some(token) = offered
                .split(',')
                .map(str::trim)
                .find(|name| name.starts_with(TOKEN_PREFIX))
        {
            response.set("Sec-WebSocket-Protocol", token);
        }
        Ok(response)
    }
}
