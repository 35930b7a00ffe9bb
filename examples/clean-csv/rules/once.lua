-- The first record of an address is the customer; later ones go to an output of their own.
function process(r)
  if state:incr(r.email) > 1 then return route("duplicates") end
end
