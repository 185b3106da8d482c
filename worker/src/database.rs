//! The database of an object: statements with their values, and rows as what they stand for.

use serde::de::DeserializeOwned;
use worker::durable::Storage;
use worker::{SqlStorage, SqlStorageValue};

use crate::problem::Problem;

/// An object's SQLite.
pub(crate) struct Database(SqlStorage);

impl Database {
    pub(crate) fn of(storage: &Storage) -> Database {
        Database(storage.sql())
    }

    /// The rows that a statement finds.
    pub(crate) fn rows<T: DeserializeOwned>(
        &self,
        query: &str,
        values: Vec<SqlStorageValue>,
    ) -> Result<Vec<T>, Problem> {
        Ok(self.0.exec(query, values)?.to_array()?)
    }

    /// Carries out a statement that finds nothing.
    pub(crate) fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<(), Problem> {
        self.0.exec(query, values)?;
        Ok(())
    }

    /// The runtime's own.
    pub(crate) fn sql(&self) -> &SqlStorage {
        &self.0
    }
}
