STORES = ()
