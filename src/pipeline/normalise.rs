//! Raw record to [`crate::lead::Lead`], or a reason naming the field.
