-- The price of an order with its tax.
function process(r)
  r.total = r.net * 1.19
end
