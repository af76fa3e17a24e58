package org.lvtmobile.app

import android.content.ContentResolver
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.net.Uri
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import java.io.IOException
import java.io.InputStream

/** Photos are halved until their longer side is at most this, so that every device has room for them. */
const val LONGEST_PHOTO_SIDE: Int = 2048

/** How often to halve a picture's sides: a power of two. */
internal fun sampleSize(size: Size): Int {
    var sample = 1
    while (maxOf(size.height, size.width) / sample > LONGEST_PHOTO_SIDE) sample *= 2
    return sample
}

/**
 * Reads a photo that the user chose, upright.
 *
 * @throws UserError it cannot be read as a picture.
 */
fun readPhoto(resolver: ContentResolver, uri: Uri): Frame {
    try {
        val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        open(resolver, uri).use { BitmapFactory.decodeStream(it, null, bounds) }
        if (bounds.outWidth <= 0 || bounds.outHeight <= 0) throw UserError("this file is no picture")
        val options = BitmapFactory.Options().apply {
            inSampleSize = sampleSize(Size(bounds.outHeight, bounds.outWidth))
        }
        val bitmap = open(resolver, uri).use { BitmapFactory.decodeStream(it, null, options) }
            ?: throw UserError("this picture cannot be read")
        val frame = Frame()
        frame.prepare(Size(bitmap.height, bitmap.width))
        bitmap.getPixels(frame.argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        bitmap.recycle()
        return frame.toPicture().upright(orientation(resolver, uri)).toFrame()
    } catch (error: IOException) {
        throw UserError("this picture cannot be read: ${error.message}", error)
    } catch (error: SecurityException) {
        throw UserError("this app may not read that picture; choose it again", error)
    }
}

private fun open(resolver: ContentResolver, uri: Uri): InputStream =
    resolver.openInputStream(uri) ?: throw UserError("this picture is no longer there")

/** EXIF's, 1 where there is none. */
private fun orientation(resolver: ContentResolver, uri: Uri): Int {
    val tag = open(resolver, uri).use { ExifInterface(it) }
        .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    return tag.takeIf { it in 1..8 } ?: 1
}
