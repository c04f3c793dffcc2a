"""The front door of Heliochrome: who may enter, what they may ask for, and a record of it."""
