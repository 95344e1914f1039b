mod arrival;
pub use arrival::Arrival;
