"""Speed against the published algorithm and the machine's limit: decoding, training steps, and clocks."""
