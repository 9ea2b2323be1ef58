//! The paths of the admin interface, and what they are described by.

use std::convert::Infallible;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::dashboard;
use super::metrics;
use super::problem::Problem;
use super::server::Stops;
use super::{
    AccountRequest, AccountStatus, Answer, Changed, DrainReport, DrainRequest, Holders, LedgerStatus, PromoteRequest,
    Report, Request, RollbackRequest, Rolled, Status, Stopping,
};
use crate::host::Event;
use crate::observe::notice::{self, Said};
use crate::store::Migration;

/// What is asked of the host's thread.
#[derive(Clone)]
struct Host {
    events: Sender<Event>,
    /// Why it was not ready when it was asked last.
    unready: Arc<Mutex<Vec<String>>>,
}

impl Host {
    async fn ask(&self, request: Request) -> Result<Answer, Problem> {
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Asked(request, reply)).map_err(|_| Problem::gone())?;
        answer.await.map_err(|_| Problem::gone())
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Tandem's admin interface",
    description = "What `tandem`'s commands ask a gateway that runs: how it is, and to reload, roll back, promote, drain and stop. Times are \
        nanoseconds since 1970 where nothing else is said."
))]
struct Description;

/// All paths.
pub(super) fn router(events: Sender<Event>) -> Router {
    let host = Host { events, unready: Arc::default() };
    let (router, description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(status))
        .routes(routes!(schema))
        .routes(routes!(ledger))
        .routes(routes!(sessions))
        .routes(routes!(accounts, account))
        .routes(routes!(reload))
        .routes(routes!(rollback))
        .routes(routes!(promote))
        .routes(routes!(drain))
        .routes(routes!(stop))
        .routes(routes!(notices))
        .routes(routes!(metrics))
        .routes(routes!(health))
        .routes(routes!(readiness))
        .split_for_parts();
    let description = description.to_json().unwrap_or_default();
    router
        .merge(dashboard::router())
        .route("/openapi.json", get(move || async { ([(CONTENT_TYPE, "application/json")], description) }))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_that)
        .with_state(host)
}

async fn nowhere(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("{}: there is no such path; /openapi.json has all of them", uri.path()))
}

async fn not_that(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not what {} is for; /openapi.json says what is", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Answer::Reload(report) => Json(report).into_response(),
            Answer::Status(status) => Json(status).into_response(),
            Answer::Schema(migrations) => Json(migrations).into_response(),
            Answer::Ledger(ledgers) => Json(ledgers).into_response(),
            Answer::Accounts(accounts) => Json(accounts).into_response(),
            Answer::Account(changed) => Json(changed).into_response(),
            Answer::Holders(holders) => Json(holders).into_response(),
            Answer::Drained(report) => Json(report).into_response(),
            Answer::Rolled(rolled) => Json(rolled).into_response(),
            Answer::Stop(stopping) => (StatusCode::ACCEPTED, Json(stopping)).into_response(),
            Answer::Refused(reason) => Problem::new(StatusCode::CONFLICT, reason).into_response(),
            Answer::Unknown(reason) => Problem::new(StatusCode::BAD_REQUEST, reason).into_response(),
        }
    }
}

/// How things are
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = Status)))]
async fn status(State(host): State<Host>) -> Result<Answer, Problem> {
    host.ask(Request::Status).await
}

/// Every change to the tables of components, oldest first
#[utoipa::path(get, path = "/v1/schema", responses((status = 200, body = Vec<Migration>), (status = 400, body = Problem)))]
async fn schema(State(host): State<Host>) -> Result<Answer, Problem> {
    host.ask(Request::Schema).await
}

/// What became of all that components have accepted
#[utoipa::path(get, path = "/v1/ledger", responses((status = 200, body = Vec<LedgerStatus>), (status = 409, body = Problem)))]
async fn ledger(State(host): State<Host>) -> Result<Answer, Problem> {
    host.ask(Request::Ledger).await
}

#[derive(Deserialize, IntoParams)]
struct Which {
    /// The component, or one of its versions: `http`, `http@1.2.0`, `http@1.2.0#3fa9c1`; all where it is not said
    of: Option<String>,
    /// So many sessions at most: 100 where it is not said
    limit: Option<u32>,
    /// With the state that another version would go on with, of those that are in the middle of nothing
    states: Option<bool>,
}

/// Who holds versions
#[utoipa::path(get, path = "/v1/sessions", params(Which),
    responses((status = 200, body = Holders), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn sessions(State(host): State<Host>, which: Result<Query<Which>, QueryRejection>) -> Result<Answer, Problem> {
    let Query(Which { of, limit, states }) = which?;
    host.ask(Request::Sessions { named: of, most: limit.unwrap_or(100) as usize, states: states.unwrap_or_default() })
        .await
}

/// Every account, by name
#[utoipa::path(get, path = "/v1/accounts", responses((status = 200, body = Vec<AccountStatus>), (status = 409, body = Problem)))]
async fn accounts(State(host): State<Host>) -> Result<Answer, Problem> {
    host.ask(Request::Account(AccountRequest::List)).await
}

/// Change an account
#[utoipa::path(post, path = "/v1/accounts", request_body = AccountRequest,
    responses((status = 200, body = Changed), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn account(
    State(host): State<Host>,
    request: Result<Json<AccountRequest>, JsonRejection>,
) -> Result<Answer, Problem> {
    match request?.0 {
        AccountRequest::List => Err(Problem::new(StatusCode::BAD_REQUEST, "what: GET lists accounts")),
        change => host.ask(Request::Account(change)).await,
    }
}

/// Look for new components and a changed configuration, as SIGHUP does
#[utoipa::path(post, path = "/v1/reload", responses((status = 200, body = Report)))]
async fn reload(State(host): State<Host>) -> Result<Answer, Problem> {
    host.ask(Request::Reload).await
}

/// Go back to the version of a component that served before; withdraw the one that is tried
#[utoipa::path(post, path = "/v1/rollback", request_body = RollbackRequest,
    responses((status = 200, body = Rolled), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn rollback(
    State(host): State<Host>,
    body: Result<Json<RollbackRequest>, JsonRejection>,
) -> Result<Answer, Problem> {
    host.ask(Request::Rollback(body?.0)).await
}

/// Have a version serve
#[utoipa::path(post, path = "/v1/promote", request_body = PromoteRequest,
    responses((status = 200, body = Rolled), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn promote(
    State(host): State<Host>,
    body: Result<Json<PromoteRequest>, JsonRejection>,
) -> Result<Answer, Problem> {
    host.ask(Request::Promote(body?.0)).await
}

/// Have the sessions of a version leave it; answered once that is over
#[utoipa::path(post, path = "/v1/drain", request_body = DrainRequest,
    responses((status = 200, body = DrainReport), (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn drain(State(host): State<Host>, body: Result<Json<DrainRequest>, JsonRejection>) -> Result<Answer, Problem> {
    host.ask(Request::Drain(body?.0)).await
}

/// Finish what is under way and end, as SIGTERM does; `GET /v1/notices` ends with the process
#[utoipa::path(post, path = "/v1/stop", responses((status = 202, body = Stopping)))]
async fn stop(State(host): State<Host>, Extension(stops): Extension<Stops>) -> Result<Response, Problem> {
    let answer = host.ask(Request::Stop).await?;
    stops.set();
    // The connection ends with the answer, and the gateway then stops.
    Ok(([(CONNECTION, "close")], answer).into_response())
}

/// The last notices, and then each as it comes: `text/event-stream`
#[utoipa::path(get, path = "/v1/notices", responses((status = 200, body = Said, content_type = "text/event-stream")))]
async fn notices() -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let (said, to_come) = notice::listen();
    // Who is too slow for them misses some; the numbers tell.
    let to_come = BroadcastStream::new(to_come).filter_map(Result::ok);
    let events = tokio_stream::iter(said).chain(to_come).filter_map(|said| {
        let event = sse::Event::default().id(said.number.to_string()).event("notice");
        event.json_data(said).ok().map(Ok)
    });
    Sse::new(events).keep_alive(sse::KeepAlive::new().interval(Duration::from_secs(15)))
}

/// How things are, for Prometheus
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"), (status = 503, body = Problem)))]
async fn metrics(State(host): State<Host>) -> Result<Response, Problem> {
    let text = match host.ask(Request::Status).await? {
        Answer::Status(status) => metrics::text(*status).ok(),
        _ => None,
    };
    let text = text.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    Ok(([(CONTENT_TYPE, metrics::TYPE)], text).into_response())
}

/// Whether the process is there
#[utoipa::path(get, path = "/healthz", responses((status = 200)))]
async fn health() -> &'static str {
    "well\n"
}

/// Whether it serves.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// What it does not serve.
    unready: Vec<String>,
}

/// Whether each service is served
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn readiness(State(host): State<Host>) -> Response {
    /// Beyond that a reload is under way, which changes nothing until it is over: what was so before still is.
    const PATIENCE: Duration = Duration::from_secs(1);
    let said = tokio::time::timeout(PATIENCE, host.ask(Request::Status)).await;
    let unready = match said {
        Ok(Ok(Answer::Status(status))) => {
            let unserved = status.services.iter().filter(|service| service.version.is_none());
            let unready: Vec<String> =
                unserved.map(|service| format!("service.{}: no version serves it", service.name)).collect();
            host.unready.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&unready);
            unready
        }
        Ok(_) => vec![Problem::gone().detail],
        Err(_) => host.unready.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    };
    let status = if unready.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { unready })).into_response()
}
