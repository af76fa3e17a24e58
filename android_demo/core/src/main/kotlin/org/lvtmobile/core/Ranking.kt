package org.lvtmobile.core

import kotlin.math.exp

/** One row of a classification result; [probability] is a softmax over all classes. */
data class ClassScore(val index: Int, val probability: Double)

/** All classes of logits (1, K), most probable first; ties by index. */
fun rankedClasses(logits: Tensor): List<ClassScore> {
    val row = logits.values
    val highest = row.max().toDouble()
    val shares = DoubleArray(row.size) { exp(row[it] - highest) }
    val sum = shares.sum()
    return row.indices.sortedByDescending { row[it] }.map { ClassScore(it, shares[it] / sum) }
}
