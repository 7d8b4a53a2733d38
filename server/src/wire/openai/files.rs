//! Files, as they are told.

use kithdb::{Error, Result};
use rag::shelf::File;
use serde_json::{Value, json};

/// What files may be uploaded for.
const PURPOSES: [&str; 9] = [
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "fine-tune",
    "fine-tune-results",
    "vision",
    "user_data",
    "evals",
];

/// Checks what a file is to be uploaded for.
///
/// # Errors
/// `InvalidArgument` on `purpose`.
pub(crate) fn check_purpose(purpose: &str) -> Result<()> {
    if PURPOSES.contains(&purpose) {
        return Ok(());
    }
    Err(Error::invalid("purpose", format!("`{purpose}` is none of {}", PURPOSES.join(", "))))
}

/// A file.
pub(crate) fn told(file: &File) -> Value {
    json!({
        "id": file.id, "object": "file", "bytes": file.bytes, "created_at": file.created_s, "filename": file.name,
        "purpose": file.purpose, "status": "processed",
    })
}
