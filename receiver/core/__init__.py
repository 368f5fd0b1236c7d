"""What the program knows: plain values in, plain values out."""
