//! The integer layers against CMSIS-NN's published vectors and an independent reference, bit for bit on every backend.

mod fully_connected;
mod lstm;
mod made_up;
mod reference;
mod vectors;
