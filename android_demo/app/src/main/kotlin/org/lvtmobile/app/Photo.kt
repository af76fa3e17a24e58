package org.lvtmobile.app

import android.content.ContentResolver
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.net.Uri
import android.os.StrictMode
import org.lvtmobile.core.Size
import org.lvtmobile.core.firstLine
import java.io.IOException
import java.io.InputStream

/** Maximum length of the longer side. Larger photos are reduced, so that they fit into the memory of any device. */
const val MAX_PHOTO_SIDE: Int = 2048

/** Power of two by which to divide the sides of a photo. */
internal fun sampleSize(size: Size): Int {
    var sample = 1
    while (maxOf(size.height, size.width) / sample > MAX_PHOTO_SIDE) sample *= 2
    return sample
}

/**
 * Reads a photo as an upright frame.
 *
 * @throws AppError the file cannot be read as a picture.
 */
fun readPhoto(resolver: ContentResolver, uri: Uri): Frame {
    StrictMode.noteSlowCall("photo")
    try {
        val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        open(resolver, uri).use { BitmapFactory.decodeStream(it, null, bounds) }
        if (bounds.outWidth <= 0 || bounds.outHeight <= 0) throw AppError(Phrase(R.string.photo_is_none))
        val options = BitmapFactory.Options().apply {
            inSampleSize = sampleSize(Size(bounds.outHeight, bounds.outWidth))
        }
        val bitmap = open(resolver, uri).use { BitmapFactory.decodeStream(it, null, options) }
            ?: throw AppError(Phrase(R.string.photo_unreadable))
        val frame = Frame()
        frame.resize(Size(bitmap.height, bitmap.width))
        bitmap.getPixels(frame.argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        bitmap.recycle()
        return frame.toPicture().upright(exifOrientation(resolver, uri)).toFrame()
    } catch (error: IOException) {
        throw AppError(Phrase(R.string.photo_unreadable_because, error.firstLine()), error)
    } catch (error: SecurityException) {
        throw AppError(Phrase(R.string.photo_forbidden), error)
    }
}

private fun open(resolver: ContentResolver, uri: Uri): InputStream =
    resolver.openInputStream(uri) ?: throw AppError(Phrase(R.string.photo_gone))

/** The EXIF orientation; 1 if there is none. */
private fun exifOrientation(resolver: ContentResolver, uri: Uri): Int {
    val tag = open(resolver, uri).use { ExifInterface(it) }
        .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    return tag.takeIf { it in 1..8 } ?: 1
}
