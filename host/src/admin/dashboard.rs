//! The page for a browser: how things are, over time, and what can be done about versions. It is in the executable, and asks nobody else.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing from elsewhere, nothing to elsewhere, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The paths of the page, which says nothing by itself: what it shows it asks for.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("dashboard/index.html"))))
        .route("/dashboard.css", get(|| file("text/css; charset=utf-8", include_str!("dashboard/dashboard.css"))))
        .route("/dashboard.js", get(|| file("text/javascript; charset=utf-8", include_str!("dashboard/dashboard.js"))))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let head = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // It is of this version of the gateway.
        (CACHE_CONTROL, "no-cache"),
    ];
    (head, text)
}
