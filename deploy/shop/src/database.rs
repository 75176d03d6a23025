//! The connection to PostgreSQL: one, shared, opened again when it is lost. Not a pool: the client pipelines.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

use crate::behaviour::Variables;

/// How long a question may take, connecting included.
const DEADLINE: Duration = Duration::from_secs(3);

/// What the shop sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The key of the row.
    pub id: i32,
    /// What it is called.
    pub name: String,
    /// The price in cents.
    pub price_cents: i32,
    /// How many there are.
    pub stock: i32,
}

/// The database of the shop.
#[derive(Clone)]
pub struct Database {
    config: Config,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Database {
    /// Reads `DATABASE_HOST`, `DATABASE_PORT`, `DATABASE_NAME`, `DATABASE_USER` and `DATABASE_PASSWORD`; connects later.
    pub fn new(variables: &Variables) -> anyhow::Result<Self> {
        let mut config = Config::new();
        config
            .host(variables.get("DATABASE_HOST").unwrap_or("postgres"))
            .port(variables.parsed("DATABASE_PORT", 5432)?)
            .dbname(variables.get("DATABASE_NAME").unwrap_or("shop"))
            .user(variables.get("DATABASE_USER").unwrap_or("shop"))
            .application_name("shop api")
            .connect_timeout(DEADLINE);
        if let Some(password) = variables.get("DATABASE_PASSWORD") {
            config.password(password);
        }
        Ok(Self { config, client: Arc::default() })
    }

    /// Every item, by name.
    pub async fn items(&self) -> anyhow::Result<Vec<Item>> {
        const QUERY: &str = "select id, name, price_cents, stock from items order by name limit 1000";
        let rows = tokio::time::timeout(DEADLINE, async {
            self.client().await?.query(QUERY, &[]).await.context("failed to read the items")
        })
        .await
        .context("the database did not answer in time")??;
        rows.iter()
            .map(|row| {
                let item = Item {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    price_cents: row.try_get(2)?,
                    stock: row.try_get(3)?,
                };
                anyhow::Ok(item)
            })
            .collect()
    }

    /// Succeeds when the database answers a question.
    pub async fn ping(&self) -> anyhow::Result<()> {
        let answer = async {
            self.client().await?.simple_query("select 1").await.context("failed to ask the database")
        };
        tokio::time::timeout(DEADLINE, answer).await.context("the database did not answer in time")??;
        Ok(())
    }

    async fn client(&self) -> anyhow::Result<Arc<Client>> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let (client, connection) =
            self.config.connect(NoTls).await.context("failed to connect to the database")?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("shop: lost the database: {error}");
            }
        });
        let client = Arc::new(client);
        *slot = Some(client.clone());
        Ok(client)
    }
}
