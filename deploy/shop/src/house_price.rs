//! The house-price API: `POST /predict` answers a price by a fixed formula that anybody can compute by hand.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::{Deserialize, Serialize};

use crate::server::json;

/// A release of the formula.
#[derive(Debug, Clone)]
pub struct Model {
    /// Told in each answer.
    pub version: String,
    /// Added to each prediction; not zero in a release that is bad on purpose.
    pub offset: f64,
}

/// What is known of a house; what is not said has the value of an average house.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Features {
    /// Rooms, halves allowed.
    rooms: f64,
    /// Property tax in dollars per 10,000 of value.
    #[serde(default = "average_tax")]
    tax: f64,
    /// Pupils per teacher in the schools around.
    #[serde(default = "average_pupils")]
    pupils_per_teacher: f64,
}

fn average_tax() -> f64 {
    300.0
}

fn average_pupils() -> f64 {
    15.0
}

#[derive(Debug, Serialize)]
struct Prediction<'a> {
    prediction: f64,
    version: &'a str,
}

impl Model {
    /// Thousands of dollars, rounded to cents of them: 1.2 + 4.1 rooms - 0.01 tax - 0.3 pupils per teacher.
    fn predict(&self, house: &Features) -> f64 {
        let Features { rooms, tax, pupils_per_teacher } = house;
        let price = 1.2 + 4.1 * rooms - 0.01 * tax - 0.3 * pupils_per_teacher + self.offset;
        (price * 100.0).round() / 100.0
    }
}

/// `POST /predict`.
pub fn routes(model: Model) -> Router {
    Router::new().route("/predict", post(predict)).with_state(Arc::new(model))
}

async fn predict(State(model): State<Arc<Model>>, body: String) -> Response {
    match serde_json::from_str::<Features>(&body) {
        Ok(house) => json(&Prediction { prediction: model.predict(&house), version: &model.version }),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(offset: f64, body: &'static str) -> (StatusCode, String) {
        let model = Model { version: "1.0.0".to_owned(), offset };
        let request = Request::post("/predict").body(Body::from(body)).unwrap();
        let response = routes(model).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_average_house_with_six_and_a_half_rooms_costs_20_35() {
        let (status, body) = answer(0.0, r#"{"rooms": 6.5}"#).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"prediction":20.35,"version":"1.0.0"}"#));
    }

    #[tokio::test]
    async fn an_offset_plays_a_wrong_model() {
        let (_, body) = answer(5.0, r#"{"rooms": 6.5, "tax": 300, "pupilsPerTeacher": 15}"#).await;
        assert_eq!(body, r#"{"prediction":25.35,"version":"1.0.0"}"#);
    }

    #[tokio::test]
    async fn an_unknown_feature_is_refused_by_name() {
        let (status, body) = answer(0.0, r#"{"rooms": 6.5, "roooms": 7}"#).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("roooms"), "{body}");
    }
}
