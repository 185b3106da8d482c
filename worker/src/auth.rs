//! Who may call, and what.

use edge_credits::value::Value;
use worker::Env;

use crate::keys::{self, Role, ServiceKey};
use crate::problem::{CallFault, Problem};
use crate::request::{Header, Headers, Request};
use crate::route::Call;
use crate::token;

/// What a call needs its caller to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// To look, and to ask what something would cost.
    Read,
    /// To use what the account has.
    Charge,
    /// To redeem an invitation.
    Redeem,
    /// To change how the account is called; its time zone is for administrators.
    Name,
    /// Everything else.
    Administer,
}

/// Someone with good credentials.
#[derive(Debug)]
pub(crate) enum Caller {
    /// A server of ours.
    Service(ServiceKey),
    /// The user of an account.
    User {
        /// That account.
        account: String,
    },
}

impl Caller {
    /// Finds out who calls.
    ///
    /// # Errors
    /// 401 `unauthenticated`.
    pub(crate) async fn of(headers: &Headers, env: &Env) -> Result<Caller, Problem> {
        let presented = credentials(headers)?;
        if let Some(key) = keys::find(presented, env) {
            return Ok(Caller::Service(key));
        }
        let account = token::subject(presented, env).await?;
        Ok(Caller::User { account })
    }

    /// Checks that the caller may make this call on this account.
    ///
    /// # Errors
    /// 403 `forbidden`, the same whether the account exists or not.
    pub(crate) fn check(&self, account: &str, call: &Call) -> Result<(), CallFault> {
        let right = right_to(call);
        match self {
            Caller::Service(key) if key.role.has(right) => Ok(()),
            Caller::Service(key) => Err(CallFault::Forbidden(format!(
                "the service key{} is limited to the role `{}`",
                key.name
                    .as_ref()
                    .map(|name| format!(" `{name}`"))
                    .unwrap_or_default(),
                key.role.as_str()
            ))),
            Caller::User { account: own } if own != account => Err(CallFault::Forbidden(
                "a user token is for the account that it names, and no other".to_owned(),
            )),
            Caller::User { .. } => match right {
                Right::Read | Right::Redeem | Right::Name => Ok(()),
                Right::Charge | Right::Administer => Err(CallFault::Forbidden(
                    "a user token may read its account, estimate, redeem an invitation and set the display name"
                        .to_owned(),
                )),
            },
        }
    }

    /// Checks that the caller may do what is about no account in particular.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub(crate) fn check_administrator(&self) -> Result<(), CallFault> {
        match self {
            Caller::Service(key) if key.role.has(Right::Administer) => Ok(()),
            _ => Err(CallFault::Forbidden(
                "this is for administrators' service keys".to_owned(),
            )),
        }
    }

    /// Whether what the call says decides about it, too.
    pub(crate) fn is_limited_in(&self, call: &Call) -> bool {
        matches!(self, Caller::User { .. }) && right_to(call) == Right::Name
    }

    /// Under which name the caller's calls on an account are counted: no user can use up what servers may do.
    pub(crate) fn counted_as(&self, account: &str) -> String {
        match self {
            Caller::Service(_) => account.to_owned(),
            // No account id has a slash.
            Caller::User { .. } => format!("user/{account}"),
        }
    }
}

impl Role {
    fn has(self, right: Right) -> bool {
        match self {
            Role::Admin => true,
            Role::Charge => matches!(right, Right::Read | Right::Charge),
            Role::Read => right == Right::Read,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Charge => "charge",
            Role::Read => "read",
        }
    }
}

/// What is not named here is for administrators.
fn right_to(call: &Call) -> Right {
    match call {
        Call::Read
        | Call::Balance
        | Call::Estimate
        | Call::ReadHolds
        | Call::ReadHold(_)
        | Call::ReadGrants
        | Call::Entries
        | Call::Usage
        | Call::Verify
        | Call::Entitlements
        | Call::ReadAlerts
        | Call::Invitation
        | Call::Live => Right::Read,
        Call::Hold
        | Call::Capture(_)
        | Call::Release(_)
        | Call::Extend(_)
        | Call::Charge
        | Call::UseFeature(_)
        | Call::ReturnFeature(_) => Right::Charge,
        Call::Redeem => Right::Redeem,
        Call::Update => Right::Name,
        _ => Right::Administer,
    }
}

/// Checks that a change of the account by its own user changes nothing but the display name.
///
/// # Errors
/// 403 `forbidden` for a time zone; 400 and 413 as the object would answer.
pub(crate) fn check_only_naming(request: &Request) -> Result<(), Problem> {
    if let Value::Map(fields) = request.json(false)?
        && fields.iter().any(|(name, _)| name == "time_zone")
    {
        let detail = "a user token may set the display name, and not the time zone".to_owned();
        return Err(CallFault::Forbidden(detail).into());
    }
    Ok(())
}

/// The bearer credential of a request.
///
/// A browser cannot give a WebSocket any header but its subprotocols, so that one of those may be `bearer.<token>`.
pub(crate) fn credentials(headers: &Headers) -> Result<&str, Problem> {
    if let Some(authorization) = headers.get(Header::Authorization) {
        return match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
            _ => Err(CallFault::BadCredentials("the credentials are no bearer token").into()),
        };
    }
    let is_upgrade = headers
        .get(Header::Upgrade)
        .is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"));
    let protocols = match is_upgrade {
        true => headers.get(Header::WebSocketProtocol).unwrap_or_default(),
        false => "",
    };
    match protocols
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix("bearer."))
    {
        Some(token) => Ok(token),
        None => Err(CallFault::NoCredentials.into()),
    }
}
