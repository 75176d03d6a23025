//! The API tier: `GET /items` answers what PostgreSQL holds.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::database::Database;
use crate::server::{Ready, json};

/// `GET /items`.
pub fn routes(database: Database) -> Router {
    Router::new().route("/items", get(items)).with_state(database)
}

/// Ready when the database answers.
pub fn readiness(database: Database) -> Ready {
    Ready::when(move || {
        let database = database.clone();
        async move { database.ping().await.map_err(|error| format!("{error:#}")) }
    })
}

async fn items(State(database): State<Database>) -> Response {
    match database.items().await {
        Ok(items) => json(&items),
        Err(error) => {
            eprintln!("shop: {error:#}");
            (StatusCode::BAD_GATEWAY, format!("{error:#}\n")).into_response()
        }
    }
}
