//! Converts the contract to JSON.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    contract_build::convert_contract()
}
