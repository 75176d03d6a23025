//! The web tier: a page of the items that the API tier answers.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::client::{self, Address};
use crate::database::Item;
use crate::server::Ready;

/// What the page needs.
#[derive(Debug, Clone)]
pub struct Page {
    /// The API tier.
    pub upstream: Address,
    /// The version of this tier.
    pub version: String,
}

/// `GET /`.
pub fn routes(page: Page) -> Router {
    Router::new().route("/", get(index)).with_state(Arc::new(page))
}

/// Ready when the API tier is, so that a ready web tier means that the whole chain down to the database works.
pub fn readiness(upstream: &Address) -> Ready {
    let probe = upstream.with_path("/readyz");
    Ready::when(move || {
        let probe = probe.clone();
        async move {
            match client::get(&probe).await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("the API answered {}: {}", answer.status, answer.body.trim_end())),
                Err(error) => Err(format!("the API is out of reach: {error:#}")),
            }
        }
    })
}

async fn index(State(page): State<Arc<Page>>) -> Response {
    match items(&page.upstream).await {
        Ok((items, api_version)) => html(StatusCode::OK, &table(&items, &page.version, &api_version)),
        Err(error) => {
            eprintln!("shop: {error:#}");
            html(
                StatusCode::BAD_GATEWAY,
                &format!("<p>The shop is closed: {}</p>", escape(&format!("{error:#}"))),
            )
        }
    }
}

async fn items(upstream: &Address) -> anyhow::Result<(Vec<Item>, String)> {
    let answer = client::get(&upstream.with_path("/items")).await.context("the API is out of reach")?;
    if answer.status != 200 {
        bail!("the API answered {}: {}", answer.status, answer.body.trim_end());
    }
    let items = serde_json::from_str(&answer.body).context("the API did not answer items")?;
    Ok((items, answer.version.unwrap_or_else(|| "unknown".to_owned())))
}

fn table(items: &[Item], web_version: &str, api_version: &str) -> String {
    let mut page = String::from("<table><tr><th>Item<th>Price<th>In stock</tr>\n");
    for Item { id: _, name, price_cents, stock } in items {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}.{:02}<td>{stock}</tr>",
            escape(name),
            price_cents / 100,
            (price_cents % 100).abs()
        );
    }
    let _ = writeln!(page, "</table><p>web {}, api {}</p>", escape(web_version), escape(api_version));
    page
}

fn html(status: StatusCode, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Shop</title><h1>Shop</h1>\n{body}</html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    (status, headers, page).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_shown_with_their_price_and_never_as_markup() {
        let item = Item { id: 1, name: "<b>Chair".to_owned(), price_cents: 4905, stock: 3 };
        let page = table(&[item], "1.1.0", "1.0.0");
        assert!(page.contains("<tr><td>&lt;b&gt;Chair<td>49.05<td>3</tr>"), "{page}");
        assert!(page.contains("web 1.1.0, api 1.0.0"), "{page}");
    }
}
