//! The sample applications of `environments/`: one static binary, a role for each tier.
//!
//! `shop house-price` predicts prices, `shop api` reads items from PostgreSQL, `shop web` shows them as a page, and
//! `shop get URL` is a tiny client for images without a shell,
//! `shop load URL RATE` a steady load that counts answers. Not a product: it is what the demo and the tests deploy, and
//! it can be told by its environment to be a bad release ([`behaviour`]).

mod api;
mod behaviour;
mod client;
mod database;
mod house_price;
mod load;
mod server;
mod web;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::behaviour::{Behaviour, Variables};
use crate::database::Database;

const USAGE: &str = "usage: shop house-price | api | web | get URL | load URL RATE";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let variables = Variables::of_process();
    match arguments.as_slice() {
        ["house-price"] => {
            let behaviour = Behaviour::from_variables(&variables)?;
            let model = house_price::Model {
                version: behaviour.version.clone(),
                offset: behaviour.prediction_offset,
            };
            if model.offset != 0.0 {
                println!("the model is loaded with an offset of {}", model.offset);
            }
            server::serve(house_price::routes(model), server::Ready::always(), behaviour).await
        }
        ["api"] => {
            let database = Database::new(&variables)?;
            let ready = api::readiness(database.clone());
            server::serve(api::routes(database), ready, Behaviour::from_variables(&variables)?).await
        }
        ["web"] => {
            let upstream = client::Address::parse(variables.get("API_URL").unwrap_or("http://api:80"))?;
            let behaviour = Behaviour::from_variables(&variables)?;
            let ready = web::readiness(&upstream);
            let page = web::Page { upstream, version: behaviour.version.clone() };
            server::serve(web::routes(page), ready, behaviour).await
        }
        ["get", url] => {
            let answer = client::get(&client::Address::parse(url)?)
                .await
                .with_context(|| format!("failed to get {url}"))?;
            println!("{}", answer.body);
            if answer.status == 200 { Ok(()) } else { bail!("{url} answered {}", answer.status) }
        }
        ["load", url, rate] => {
            let rate =
                rate.parse().with_context(|| format!("{rate} is not a number of requests a second"))?;
            load::run(client::Address::parse(url)?, rate).await
        }
        _ => bail!(USAGE),
    }
}
