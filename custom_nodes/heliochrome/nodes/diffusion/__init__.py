"""The Stable Diffusion nodes: pictures from text, from pictures, and repaired parts of them."""
