package org.lvtmobile.core

import kotlin.math.exp

/** Score of one class. [probability] is the softmax over all classes. */
data class ClassScore(val index: Int, val probability: Double)

/** Ranks all classes of logits (1, K): most probable first, ties by index. */
fun rankClasses(logits: Tensor): List<ClassScore> {
    val row = logits.values
    val max = row.max().toDouble()
    val exponentials = DoubleArray(row.size) { exp(row[it] - max) }
    val sum = exponentials.sum()
    return row.indices.sortedByDescending { row[it] }.map { ClassScore(it, exponentials[it] / sum) }
}
