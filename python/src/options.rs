//! Keyword options, by the names that the command line has for them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pcap_compactor::Timestamp;
use pcap_compactor::time::{decimal, point};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt};

use crate::errors::OptionError;

/// What was given; what is `None` was not.
pub(crate) struct Options<'py>(Bound<'py, PyDict>);

impl<'py> Options<'py> {
    pub(crate) fn new(given: Bound<'py, PyDict>) -> Options<'py> {
        Options(given)
    }

    pub(crate) fn py(&self) -> Python<'py> {
        self.0.py()
    }

    /// The value of an option, if it was given.
    pub(crate) fn get(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.0.get_item(name)?.filter(|value| !value.is_none()))
    }

    pub(crate) fn has(&self, name: &str) -> PyResult<bool> {
        Ok(self.get(name)?.is_some())
    }

    /// A value that Python and Rust have alike; `what` says what would be taken.
    pub(crate) fn plain<T: FromPyObjectOwned<'py>>(&self, name: &str, what: &str) -> PyResult<Option<T>> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        value.extract().map(Some).map_err(|_| refused(name, &value, what))
    }

    /// A number that Python and Rust have alike. To Python a truth value is one, too, but none that somebody means.
    pub(crate) fn number<T: FromPyObjectOwned<'py>>(&self, name: &str, what: &str) -> PyResult<Option<T>> {
        match self.get(name)? {
            Some(value) if value.is_exact_instance_of::<PyBool>() => Err(refused(name, &value, what)),
            _ => self.plain(name, what),
        }
    }

    /// A whole number from `low` to `high`.
    pub(crate) fn whole(&self, name: &str, low: u64, high: u64) -> PyResult<Option<u64>> {
        let what = format!("a whole number from {low} to {high}");
        let number = self.number::<u64>(name, &what)?;
        match number.filter(|number| !(low..=high).contains(number)) {
            Some(number) => Err(OptionError::new_err(format!("{name} = {number}: {what}"))),
            None => Ok(number),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> PyResult<bool> {
        Ok(self.plain(name, "True or False")?.unwrap_or(false))
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> PyResult<Option<T>> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        let word = value.extract::<String>().ok();
        let chosen = choices.iter().find(|(choice, _)| word.as_deref() == Some(choice));
        let names = || choices.iter().map(|(choice, _)| format!("'{choice}'")).collect::<Vec<_>>().join(", ");
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(|| refused(name, &value, &format!("one of {}", names())))
    }

    /// A text that the library reads.
    pub(crate) fn read<T: FromStr<Err: ToString>>(&self, name: &str) -> PyResult<Option<T>> {
        let Some(text) = self.plain::<String>(name, "a text")? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| OptionError::new_err(format!("{name}: {}", error.to_string())))
    }

    /// Texts that the library reads: one, or several.
    pub(crate) fn all<T: FromStr<Err: ToString>>(&self, name: &str) -> PyResult<Vec<T>> {
        let read = |text: String| {
            text.parse().map_err(|error: T::Err| OptionError::new_err(format!("{name}: {}", error.to_string())))
        };
        self.texts(name)?.into_iter().map(read).collect()
    }

    /// One text, or several.
    pub(crate) fn texts(&self, name: &str) -> PyResult<Vec<String>> {
        let Some(value) = self.get(name)? else { return Ok(Vec::new()) };
        if let Ok(text) = value.extract::<String>() {
            return Ok(vec![text]);
        }
        let what = "a text, or a list of texts";
        let texts: Vec<String> = value.extract().map_err(|_| refused(name, &value, what))?;
        // An option that was not given is another thing, and often means all.
        if texts.is_empty() { Err(refused(name, &value, what)) } else { Ok(texts) }
    }

    pub(crate) fn path(&self, name: &str) -> PyResult<Option<PathBuf>> {
        self.plain(name, "a path")
    }

    /// A time, as the package writes it for us.
    pub(crate) fn time(&self, name: &str) -> PyResult<Option<Timestamp>> {
        let Some(text) = self.plain::<String>(name, "a time")? else { return Ok(None) };
        point(&text).map(Some).map_err(|mistake| OptionError::new_err(format!("{name}: {mistake}")))
    }

    /// A number of units that are `10^places` nanoseconds each, as nanoseconds; or a `timedelta`.
    pub(crate) fn length(&self, name: &str, places: usize, what: &str) -> PyResult<Option<i64>> {
        let Some(value) = self.get(name)? else { return Ok(None) };
        let text = if value.is_instance_of::<PyInt>() {
            value.str()?.to_string()
        } else if let Ok(number) = value.cast::<PyFloat>() {
            // Never with an exponent. What is computed has more places than count, and is not to become nothing by them.
            let number = number.extract::<f64>()?;
            let text = format!("{number:.places$}");
            if number != 0.0 && text.parse() == Ok(0.0) { number.to_string() } else { text }
        } else if let Ok(length) = value.extract::<Duration>() {
            return i64::try_from(length.as_nanos()).map(Some).map_err(|_| refused(name, &value, what));
        } else {
            value.extract::<String>().map_err(|_| refused(name, &value, what))?
        };
        decimal(&text, places).map(Some).ok_or_else(|| refused(name, &value, what))
    }
}

/// An option that has a value that is not taken.
pub(crate) fn refused(name: &str, value: &Bound<'_, PyAny>, what: &str) -> PyErr {
    let value = value.repr().map_or_else(|_| "what was given".to_owned(), |text| text.to_string());
    OptionError::new_err(format!("{name} = {value}: {what}"))
}
