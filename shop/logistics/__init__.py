"""Moving goods: shipments, tracking events, carriers behind one small interface, proof of delivery.

Announces `shipment.delivered`.
"""
