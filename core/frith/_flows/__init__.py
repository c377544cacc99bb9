"""The operations of a manager, one module each. The core's engines import none of them."""
