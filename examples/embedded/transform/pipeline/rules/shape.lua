function process(r)
  r.total = r.price * r.quantity + 0.0
end
