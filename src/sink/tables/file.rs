//! A table as a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::rows::Rows;
use crate::error::{Error, Result};

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Parquet, data pages of version 1 by zstd; whole numbers and times as `DELTA_BINARY_PACKED`.
    Parquet,
    /// Arrow's file format (Feather, version 2), buffers by zstd.
    Arrow,
}

impl Form {
    /// How the names of its files end.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Form::Parquet => "parquet",
            Form::Arrow => "arrow",
        }
    }
}

/// The most bytes that wait for a group of rows to be complete, about.
pub const GROUP: usize = 64 << 20;

/// The most rows of such a group.
const ROWS: usize = 1 << 17;

/// Columns of text that is another in each row.
const NAMES: [&str; 3] = ["flow_id", "community_id", "key"];

/// A file of a table under way. Nothing can read it before [`TableFile::finish`].
pub struct TableFile<W: Write + Send> {
    name: PathBuf,
    out: Out<W>,
}

enum Out<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<W>>),
}

impl<W: Write + Send> TableFile<W> {
    /// Begins a table of such columns; `name` names `out` in errors.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(out: W, name: impl Into<PathBuf>, form: Form, schema: SchemaRef) -> Result<TableFile<W>> {
        let name = name.into();
        let out = match form {
            Form::Parquet => {
                // In one order always; the schema's own has none.
                let mut about: Vec<_> = schema.metadata().iter().collect();
                about.sort();
                let about = about.into_iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
                let columns =
                    schema.fields().iter().fold(WriterProperties::builder(), |all, field| encoded(all, field));
                let properties = columns
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROWS))
                    .set_key_value_metadata(Some(about.collect()))
                    .set_created_by(concat!("pcap-compactor version ", env!("CARGO_PKG_VERSION")).into())
                    .build();
                let writer = ArrowWriter::try_new(out, schema, Some(properties));
                Out::Parquet(Box::new(writer.map_err(|error| of_parquet(error, &name))?))
            }
            Form::Arrow => {
                let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
                let writer = options.and_then(|options| FileWriter::try_new_with_options(out, &schema, options));
                Out::Arrow(Box::new(writer.map_err(|error| of_arrow(error, &name))?))
            }
        };
        Ok(TableFile { name, out })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.out {
            Out::Parquet(writer) => {
                let written = writer.write(batch);
                let is_long = writer.in_progress_size() >= GROUP;
                let written = written.and_then(|()| if is_long { writer.flush() } else { Ok(()) });
                written.map_err(|error| of_parquet(error, &self.name))
            }
            Out::Arrow(writer) => writer.write(batch).map_err(|error| of_arrow(error, &self.name)),
        }
    }

    /// Appends the rows that wait, if they are enough for a batch.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn fill(&mut self, rows: &mut Rows) -> Result<()> {
        if rows.is_full() { self.write(&rows.take()?) } else { Ok(()) }
    }

    /// Appends all rows that wait, and completes the file as [`TableFile::finish`] does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn close(mut self, rows: &mut Rows, about: impl IntoIterator<Item = (&'static str, String)>) -> Result<W> {
        if !rows.is_empty() {
            self.write(&rows.take()?)?;
        }
        self.finish(about)
    }

    /// Completes the file, with what is only known now, and gives the stream back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self, about: impl IntoIterator<Item = (&'static str, String)>) -> Result<W> {
        let name = self.name;
        match self.out {
            Out::Parquet(mut writer) => {
                for (key, value) in about {
                    writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
                }
                writer.into_inner().map_err(|error| of_parquet(error, &name))
            }
            Out::Arrow(mut writer) => {
                about.into_iter().for_each(|(key, value)| writer.write_metadata(key, value));
                writer.finish().and_then(|()| writer.into_inner()).map_err(|error| of_arrow(error, &name))
            }
        }
    }
}

/// Says how a column is written: text with a dictionary, whole numbers as differences in as many bits as they take, others as they are; and the
/// least and the greatest of a group of rows with it where readers look for some of them: times, ports, addresses.
fn encoded(all: WriterPropertiesBuilder, field: &Field) -> WriterPropertiesBuilder {
    let (place, kind) = leaf(field);
    let place = ColumnPath::new(place);
    let is_sought = field.name().ends_with("_ip") || field.name().ends_with("_port");
    let (all, statistics) = match kind {
        DataType::Utf8 => {
            (all.set_column_dictionary_enabled(place.clone(), !NAMES.contains(&field.name().as_str())), is_sought)
        }
        DataType::FixedSizeBinary(_) => (all, is_sought),
        DataType::Int64 => (deltas(all, &place), is_sought),
        DataType::Timestamp(..) => (deltas(all, &place), true),
        _ => (all.set_column_dictionary_enabled(place.clone(), false), false),
    };
    let statistics = if statistics { EnabledStatistics::Chunk } else { EnabledStatistics::None };
    all.set_column_statistics_enabled(place, statistics)
}

fn deltas(all: WriterPropertiesBuilder, place: &ColumnPath) -> WriterPropertiesBuilder {
    all.set_column_dictionary_enabled(place.clone(), false)
        .set_column_encoding(place.clone(), Encoding::DELTA_BINARY_PACKED)
}

/// The values of a column: where they lie, inside lists, and what they are.
fn leaf(field: &Field) -> (Vec<String>, &DataType) {
    match field.data_type() {
        DataType::List(item) => {
            let (inside, kind) = leaf(item);
            ([field.name().clone(), "list".to_owned()].into_iter().chain(inside).collect(), kind)
        }
        kind => (vec![field.name().clone()], kind),
    }
}

/// What a writer of Parquet says.
fn of_parquet(error: ParquetError, name: &Path) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => Error::io("write", name, *source),
            Err(source) => Error::sink(source),
        },
        other => Error::sink(other),
    }
}

/// What a writer of Arrow says.
fn of_arrow(error: ArrowError, name: &Path) -> Error {
    match error {
        ArrowError::IoError(_, source) => Error::io("write", name, source),
        other => Error::sink(other),
    }
}
