"""Flash images: ESP-IDF partition tables and NVS partitions, assembly per node, and reading back what a node holds."""
