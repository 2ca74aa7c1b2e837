mod client;
mod faults;
mod jobs;
mod lists;
mod refusals;
mod time;
