"""An independent calculator of the figures: plain Python over the tables of facts, without any code of the product."""
