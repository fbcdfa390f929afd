//! What the customers of a shop have spent: a join of two files of comma-separated values, read into types by serde.
//!
//! ```text
//! cargo build --release && mapfold run target/release/liborders.so customers=customers.csv orders=orders/
//! ```

use mapfold_job::{Coded, Emitter, Format, Job, JobError, NoParams, Record, Rows, Values};
use serde::{Deserialize, Serialize};

mapfold_job::plugin!(Orders);

/// A row of `customers`. Other columns may be there, too, in any order.
#[derive(Deserialize)]
struct Customer {
    id: u64,
    name: String,
}

/// A row of `orders`.
#[derive(Deserialize)]
struct Order {
    customer: u64,
    cents: u64,
    discount: Option<u64>,
}

/// What `reduce` must know of a row.
#[derive(Clone, Serialize, Deserialize)]
pub enum Side {
    /// The name.
    Customer(String),
    /// What is to be paid.
    Order(u64),
}

/// Sums up orders by customer.
pub struct Orders;

const CUSTOMERS: usize = 0;

impl Job for Orders {
    type Params = NoParams;
    type Key = u64;
    type Value = Coded<Side>;

    const NAME: &'static str = "orders";
    const SUMMARY: &'static str = "what each customer has ordered, in cents";
    const HELP: &'static str = "\
Customers have the columns `id` and `name`, orders `customer`, `cents` and perhaps `discount`. A row for each customer: name, number of orders, sum.";
    const FORMAT: Format = Format::CSV;
    const INPUTS: &'static [&'static str] = &["customers", "orders"];

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if record.input() == CUSTOMERS {
            let customer: Customer = record.csv()?;
            out.emit(customer.id, Side::Customer(customer.name));
        } else {
            let order: Order = record.csv()?;
            let cents = order.cents.saturating_sub(order.discount.unwrap_or(0));
            out.emit(order.customer, Side::Order(cents));
        }
        Ok(())
    }

    fn reduce(
        &self,
        _: u64,
        sides: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut names = Vec::new();
        let (mut count, mut sum) = (0_u64, 0_u64);
        // Customers come first: they are the first input.
        for side in sides.owned() {
            match side {
                Side::Customer(name) => names.push(name),
                Side::Order(cents) => {
                    count += 1;
                    sum += cents;
                }
            }
        }
        if names.is_empty() {
            rows.count("orders of nobody", count.cast_signed());
        }
        for name in names {
            rows.row(name, (count, sum));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    fn trial() -> Trial<Orders> {
        Trial::new()
            .input("customers", "name,id\n\"Ann, of York\",7\nBob,8\n")
            .input(
                "orders",
                "customer,cents,discount\n7,100,\n9,5,\n\n7,250,50\n",
            )
    }

    #[test]
    fn columns_are_found_by_name_wherever_a_split_begins() {
        let tried = trial().check().expect("it is a plain job");
        assert_eq!(tried.rows(), ["Ann, of York\t2\t300", "Bob\t0\t0"]);
        assert_eq!(tried.counter("orders of nobody"), 1);
    }

    #[test]
    fn a_row_that_is_none_is_told_with_field_and_place() {
        let bad = trial().input("orders", "cents,customer\n10,7\nmuch,7\n");
        let why = bad
            .run()
            .map(|tried| tried.rows())
            .expect_err("it is no number");
        let why = why.to_string();
        for said in [
            "field `cents`",
            "invalid digit",
            "`much`",
            "offset 20",
            "much,7",
        ] {
            assert!(why.contains(said), "no {said:?} in {why}");
        }
    }
}
