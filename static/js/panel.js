// What every page of the panel does: keys, focus after swaps, toasts. No framework; htmx does the swapping.
